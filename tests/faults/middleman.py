"""A stretch of network between proxy and database that can go silent in either direction, without a reset."""

import contextlib
import select
import socket
import threading


class Middleman:
    """Listens on a port of its own and passes bytes on to a unix socket, until it is told to hold them back."""

    def __init__(self, target):
        self.target = target
        self.passes_requests, self.passes_answers = threading.Event(), threading.Event()
        self.passes_requests.set()
        self.passes_answers.set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.server = "{}:{}".format(*self.listener.getsockname())
        self.ended = threading.Event()
        self.acceptor = threading.Thread(target=self.accept, daemon=True)
        self.acceptor.start()

    def accept(self):
        while not self.ended.is_set():
            if not select.select([self.listener], [], [], 0.1)[0]:
                continue
            client, _ = self.listener.accept()
            server = socket.socket(socket.AF_UNIX)
            try:
                server.connect(self.target)
            except OSError:
                client.close()
                continue
            threading.Thread(target=self.carry, args=(client, server, self.passes_requests), daemon=True).start()
            threading.Thread(target=self.carry, args=(server, client, self.passes_answers), daemon=True).start()

    def carry(self, source, sink, passes):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                while not passes.wait(0.1):
                    if self.ended.is_set():
                        return
                sink.sendall(data)
        # Whoever hung up is hung up on, but silence stays silence.
        if passes.is_set():
            for end in (source, sink):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.acceptor.join()
        self.listener.close()
