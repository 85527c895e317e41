"""Receivers of deliveries: they answer as badly as a test wants, and remember everything that reached them."""

import dataclasses
import socket
import ssl
import threading
import time

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
MEGABYTE = 1 << 20


@dataclasses.dataclass
class Request:
    """What came, and when by the monotonic clock. Names of headers are in lower case."""

    at: float
    method: str
    target: str
    headers: dict
    body: bytes

    @property
    def id(self):
        return self.headers["idempotency-key"]


class Receiver:
    """A server on a port of its own. The n-th request gets the n-th answer, all later ones get the last.

    An answer is bytes, or a function that takes the connection and does what it likes with it. The connection is closed
    behind every answer.
    """

    def __init__(self, *answers, tls=None):
        self.answers = answers or (OK,)
        self.tls = tls
        self.requests, self.refused_handshakes = [], 0
        self.busy = self.most_busy = 0
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    @property
    def ids(self):
        return [request.id for request in list(self.requests)]

    def url(self, target="/in?click={click_id}", host="127.0.0.1"):
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}{target}"

    def accept(self):
        while True:
            try:
                connection = self.listener.accept()[0]
            except OSError:
                return  # closed
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with connection:
            if self.tls:
                try:
                    connection = self.tls.wrap_socket(connection, server_side=True)
                except OSError:
                    self.refused_handshakes += 1
                    return
            request = read_request(connection)
            if request is None:
                return
            with self.lock:
                answer = self.answers[min(len(self.requests), len(self.answers) - 1)]
                self.requests.append(request)
                self.busy += 1
                self.most_busy = max(self.most_busy, self.busy)
            try:
                connection.sendall(answer) if isinstance(answer, bytes) else answer(connection)
            except OSError:
                pass  # the other side has hung up
            finally:
                with self.lock:
                    self.busy -= 1

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def read_request(connection):
    """One request with its body; None when the other side hangs up before its end."""
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = connection.recv(65536)
        if not chunk:
            return None
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    request_line, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    assert len(headers) == len(lines), f"a header comes twice: {head!r}"
    while len(body) < int(headers.get("content-length", 0)):
        body += connection.recv(65536)
    method, target, _ = request_line.split(" ")
    return Request(time.monotonic(), method, target, headers, body)


def status(code, *headers):
    """An answer without a body."""
    return "\r\n".join([f"HTTP/1.1 {code} Status", "Content-Length: 0", *headers, "", ""]).encode()


def hang(connection):
    """Says nothing until the other side hangs up."""
    while connection.recv(65536):
        pass


class Gigabyte:
    """Sends as much of a gigabyte as is taken; `sent` has the bytes of each time."""

    def __init__(self, code=200):
        self.head = f"HTTP/1.1 {code} Status\r\nContent-Length: {1 << 30}\r\n\r\n".encode()
        self.sent = []

    def __call__(self, connection):
        place = len(self.sent)
        self.sent.append(0)
        connection.sendall(self.head)
        chunk = b"x" * 65536
        while self.sent[place] < 1 << 30:
            self.sent[place] += connection.send(chunk)


def tls_context(certificate):
    """The server's side of TLS with a certificate made by trustme."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context
