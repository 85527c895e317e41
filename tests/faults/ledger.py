"""The client's side of the truth: each request has a number and ends as acked, failed or unknown.

Jepsen's way. A timeout or a reset is unknown, never failed. Afterwards what was acked must be stored, what is stored must
have been asked for, and nothing may be stored twice.
"""

import collections
import dataclasses
import http.client
import random
import select
import threading
import time

from support import PHONE

DEADLINE = 30.0
ACKED = {"click": 302, "foreign": 302, "postback": 200}


def kind_of(number):
    """Taps of our own links mostly; some of links minted elsewhere, some postbacks."""
    return {1: "foreign", 5: "postback"}.get(number % 10, "click")


@dataclasses.dataclass
class Outcome:
    requests: int
    acked: int
    failed: int
    unknown: int
    lost: int
    unexpected: int
    duplicated: int
    longest_stall: float

    def holds(self):
        return self.lost == self.unexpected == self.duplicated == 0


class Ledger:
    """Clients that go on until they are told to stop, whatever happens to the other side."""

    def __init__(self, listen, codes, seed, clients=6):
        self.listen, self.codes, self.seed = listen, list(codes), seed
        self.acked, self.failed, self.unknown, self.attempted = set(), {}, set(), set()
        self.longest_stall = 0.0
        self.ending = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(client,), daemon=True) for client in range(clients)]
        for thread in self.threads:
            thread.start()

    def target(self, number, chance, click_id):
        match kind_of(number):
            case "postback":
                return f"/postback?transaction_id=t{number}&payout=1.00&click_id={click_id}"
            case "foreign":
                return f"/click?campaign=456&click_id=f{number}"
        return f"/{chance.choice(self.codes)}"

    def run(self, client):
        chance = random.Random(self.seed * 1000 + client)
        number = client * 10_000_000
        connection = click_id = None
        while not self.ending.is_set():
            try:
                if connection is None:
                    connection = http.client.HTTPConnection(self.listen, timeout=DEADLINE)
                    connection.connect()
            except OSError:
                connection = None
                select.select([], [], [], 0.01)  # nobody listens: nothing was attempted
                continue
            number += 1
            self.attempted.add(number)
            started = time.monotonic()
            try:
                connection.request("GET", self.target(number, chance, click_id), headers={"User-Agent": f"{PHONE} n/{number}"})
                answer = connection.getresponse()
                answer.read()
                if answer.status == ACKED[kind_of(number)]:
                    self.acked.add(number)
                    # The next sale is about the last click that was acked.
                    click_id = answer.getheader("Location", f"={click_id}").split("=")[1]
                else:
                    self.failed[number] = answer.status
                if answer.will_close:
                    connection.close()
                    connection = None
            except (OSError, http.client.HTTPException):
                self.unknown.add(number)
                connection.close()
                connection = None
            self.longest_stall = max(self.longest_stall, time.monotonic() - started)

    def has_acked_more(self, count):
        """A condition: so many more than now."""
        wanted = len(self.acked) + count
        return lambda: len(self.acked) >= wanted

    def end(self):
        self.ending.set()
        for thread in self.threads:
            thread.join(DEADLINE + 5)
            assert not thread.is_alive()

    def compare(self, database):
        """What the database has, against what was promised."""
        assert self.ending.is_set()
        stored = collections.Counter()
        rows = database.execute(
            "SELECT click_id, split_part(user_agent, ' n/', 2)::bigint FROM postback.clicks WHERE user_agent LIKE '%% n/%%'"
        )
        stored.update(number for _, number in rows)
        rows = database.execute("SELECT substr(transaction_id, 2)::bigint FROM postback.postbacks")
        stored.update(number for (number,) in rows)
        return Outcome(
            requests=len(self.attempted),
            acked=len(self.acked),
            failed=len(self.failed),
            unknown=len(self.unknown),
            lost=len(self.acked - stored.keys()),
            unexpected=len(stored.keys() - self.attempted),
            duplicated=sum(1 for times in stored.values() if times > 1),
            longest_stall=self.longest_stall,
        )
