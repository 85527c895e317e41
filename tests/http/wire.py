"""Requests as bytes and answers taken apart, for what correct clients never say and for what they may not see."""

import socket

from support import DEADLINE, PHONE, Answer


def request(target="/", method="GET", headers=(), host="s.example.com", version="HTTP/1.1", close=True, body=b""):
    """One request as bytes; `headers` are pairs, `host` None leaves the header out."""
    lines = [f"{method} {target} {version}"]
    lines += [f"Host: {host}"] if host is not None else []
    lines += [f"User-Agent: {PHONE}"] if not any(name.lower() == "user-agent" for name, _ in headers) else []
    lines += [f"{name}: {value}" for name, value in headers]
    lines += [f"Content-Length: {len(body)}"] if body else []
    lines += ["Connection: close"] if close else []
    return "\r\n".join(lines + ["", ""]).encode() + body


def connect(proxy):
    """A connection to the public listener; what is written goes out at once."""
    host, port = proxy.listen.split(":")
    connection = socket.create_connection((host, int(port)), timeout=DEADLINE)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def read_all(connection):
    """What comes back until the proxy closes the connection, be it with a reset."""
    stream = b""
    try:
        while chunk := connection.recv(65536):
            stream += chunk
    except (ConnectionResetError, BrokenPipeError):
        pass
    return stream


def send(proxy, data):
    """Bytes as they are; all that comes back. The proxy may hang up before it has read everything."""
    with connect(proxy) as connection:
        try:
            connection.sendall(data)
        except (ConnectionResetError, BrokenPipeError):
            pass
        return read_all(connection)


def answers(stream, methods=()):
    """The answers in a stream; `methods` of the requests, because a HEAD's answer has no body. None is cut short."""
    found = []
    while stream:
        head, separator, stream = stream.partition(b"\r\n\r\n")
        assert separator, f"an answer breaks off in its head: {head!r}"
        status_line, *lines = head.decode("latin-1").split("\r\n")
        headers = [tuple(line.split(": ", 1)) for line in lines]
        answer = Answer(int(status_line.split(" ")[1]), headers, b"")
        # Twice the same header would hide in a dictionary.
        assert len(answer.headers) == len(headers), f"a header comes twice: {head!r}"
        length = int(answer.headers.get("content-length", 0))
        if len(found) >= len(methods) or methods[len(found)] != "HEAD":
            answer.body, stream = stream[:length], stream[length:]
            assert len(answer.body) == length, "a body is shorter than its length"
        found.append(answer)
    return found


def exchange(proxy, data, method="GET"):
    """The one answer to these bytes."""
    found = answers(send(proxy, data), [method])
    assert len(found) == 1, f"{len(found)} answers"
    return found[0]


def has_no_body_and_no_store(answer):
    return answer.body == b"" and answer.headers.get("cache-control") == "no-store"
