"""A process in the middle that answers first and forwards later: the positive control of the harness."""

import http.client
import http.server
import queue
import threading


class Liar:
    """Listens on a port of its own; everything is acked at once."""

    def __init__(self, listen):
        self.waiting = queue.Queue()
        self.forwarded = 0
        liar = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                liar.waiting.put((self.command, self.path, body, dict(self.headers)))
                self.send_response(200 if self.path.startswith("/postback") else 302)
                self.send_header("Location", "https://network.example.com/?aff_click_id=none")
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = do_HEAD = do_POST = answer

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.listen = "127.0.0.1:{}".format(self.server.server_address[1])
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        threading.Thread(target=self.forward, args=(listen,), daemon=True).start()

    def forward(self, listen):
        connection = http.client.HTTPConnection(listen)
        while True:
            request = self.waiting.get()
            try:
                connection.request(*request)
                connection.getresponse().read()
            except (OSError, http.client.HTTPException):
                return  # what waits is lost, as it would be with a process that has died
            self.forwarded += 1

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
