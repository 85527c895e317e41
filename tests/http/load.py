"""Clients that keep asking and remember what they were promised."""

import http.client
import threading

from support import DEADLINE


class Load:
    """Clients on connections of their own. Each request has a number, which `target` and `headers` may use.

    `answered` maps numbers to (status, location); a request whose answer did not come is in `unknown`.
    """

    def __init__(self, proxy, target, headers, clients=16):
        self.proxy, self.target, self.headers = proxy, target, headers
        self.answered, self.unknown = {}, set()
        self.ending = threading.Event()
        self.threads = [
            threading.Thread(target=self.run, args=(client * 1_000_000,), daemon=True) for client in range(clients)
        ]
        for thread in self.threads:
            thread.start()

    def run(self, number):
        connection = None
        while not self.ending.is_set():
            number += 1
            try:
                if connection is None:
                    connection = http.client.HTTPConnection(self.proxy.listen, timeout=DEADLINE)
                    connection.connect()
            except OSError:
                return  # nobody listens any more
            try:
                connection.request("GET", self.target(number), headers=self.headers(number))
                answer = connection.getresponse()
                answer.read()
                self.answered[number] = answer.status, answer.getheader("Location")
                if answer.will_close:
                    connection.close()
                    connection = None
            except (OSError, http.client.HTTPException):
                self.unknown.add(number)
                connection.close()
                connection = None

    def has_answered(self, count):
        return lambda: len(self.answered) >= count

    def end(self):
        self.ending.set()
        self.join()

    def join(self):
        for thread in self.threads:
            thread.join(DEADLINE)
            assert not thread.is_alive()

    @property
    def statuses(self):
        return {status for status, _ in self.answered.values()}
