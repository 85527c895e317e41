"""The client's side of the truth: each request has a number and ends as acked, failed or unknown.

Jepsen's way. A timeout or a reset is unknown, never failed. Afterwards what was acked must be stored, what is stored must
have been asked for, nothing may be stored twice, and each sale pays once, however often its network sent it.
"""

import collections
import dataclasses
import decimal
import http.client
import random
import select
import threading
import time

from support import PHONE

DEADLINE = 30.0
ACKED = {"click": 302, "alias": 302, "foreign": 302, "head": 302, "postback": 200, "posted": 200}
SALES = {"postback", "posted"}
PAYOUT = "1.00"
FORM = "application/x-www-form-urlencoded"


def kind_of(number):
    """Taps of our own links mostly; each other kind once in ten."""
    return {1: "foreign", 2: "alias", 4: "head", 5: "postback", 8: "posted"}.get(number % 10, "click")


def is_sale(number):
    return kind_of(number) in SALES


@dataclasses.dataclass
class Outcome:
    requests: int
    acked: int
    failed: int
    unknown: int
    lost: int
    unexpected: int
    duplicated: int
    wrong_sales: list
    longest_stall: float

    def holds(self):
        return self.lost == self.unexpected == self.duplicated == 0 and self.wrong_sales == []


class Ledger:
    """Clients that go on until they are told to stop, whatever happens to the other side."""

    def __init__(self, machine, seed, listen=None, clients=6):
        self.listen, self.seed = listen or machine.proxy.listen, seed
        self.codes, self.aliases = list(machine.campaign.codes.values()), machine.aliases
        self.acked, self.failed, self.unknown = set(), {}, set()
        self.attempted = collections.Counter()  # how often each number was sent
        self.longest_stall = 0.0
        self.ending = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(client,), daemon=True) for client in range(clients)]
        for thread in self.threads:
            thread.start()

    def request(self, number, chance, click_id):
        """Method, target and body."""
        sale = f"transaction_id=t{number}&payout={PAYOUT}&click_id={click_id}"
        match kind_of(number):
            case "postback":
                return "GET", f"/postback?{sale}", None
            case "posted":
                return "POST", "/postback", sale
            case "foreign":
                return "GET", f"/click?campaign=456&click_id=f{number}", None
            case "alias":
                return "GET", f"/{chance.choice(self.aliases)}", None
            case "head":
                return "HEAD", f"/{chance.choice(self.codes)}", None
        return "GET", f"/{chance.choice(self.codes)}", None

    def run(self, client):
        chance = random.Random(self.seed * 1000 + client)
        number = client * 10_000_000
        connection = click_id = unanswered = None
        while not self.ending.is_set():
            try:
                if connection is None:
                    connection = http.client.HTTPConnection(self.listen, timeout=DEADLINE)
                    connection.connect()
            except OSError:
                connection = None
                select.select([], [], [], 0.01)  # nobody listens: nothing was attempted
                continue
            if unanswered is None:
                number += 1
            method, target, body = unanswered or self.request(number, chance, click_id)
            unanswered = None
            headers = {"User-Agent": f"{PHONE} n/{number}"} | ({"Content-Type": FORM} if body else {})
            self.attempted[number] += 1
            started = time.monotonic()
            try:
                connection.request(method, target, body, headers)
                answer = connection.getresponse()
                answer.read()
                if answer.status == ACKED[kind_of(number)]:
                    self.acked.add(number)
                    # The next sale is about the last tap that was acked.
                    if method != "HEAD":
                        click_id = answer.getheader("Location", f"={click_id}").split("=")[1]
                else:
                    self.failed[number] = answer.status
                if answer.will_close:
                    connection.close()
                    connection = None
            except (OSError, http.client.HTTPException):
                self.unknown.add(number)
                if is_sale(number):
                    unanswered = method, target, body  # networks send it again
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
        clicks = database.execute(
            "SELECT split_part(user_agent, ' n/', 2)::bigint, method, visitor FROM postback.clicks WHERE user_agent LIKE '%% n/%%'"
        ).fetchall()
        messages = database.execute("SELECT substr(transaction_id, 2)::bigint FROM postback.postbacks").fetchall()
        stored = collections.Counter(number for number, *_ in clicks + messages)
        mistaken = {
            number for number, *stored_as in clicks if stored_as != (["HEAD", "head"] if kind_of(number) == "head" else ["GET", "human"])
        }
        return Outcome(
            requests=len(self.attempted),
            acked=len(self.acked),
            failed=len(self.failed),
            unknown=len(self.unknown),
            lost=len(self.acked - stored.keys()),
            unexpected=len(stored.keys() - self.attempted.keys() | mistaken),
            # A message that was sent again is stored again.
            duplicated=sum(1 for number, times in stored.items() if times > max(1, self.attempted[number])),
            wrong_sales=self.wrong_sales(database),
            longest_stall=self.longest_stall,
        )

    @staticmethod
    def wrong_sales(database):
        """Every sale that is not one conversion which pays once; a sale of a click that is not stored is none."""
        sales = database.execute(
            "SELECT p.transaction_id, array_agg(p.verdict::text ORDER BY p.verdict), v.payouts, "
            "  EXISTS (SELECT FROM postback.clicks AS c WHERE c.click_id = p.click_id) "
            "FROM postback.postbacks AS p LEFT JOIN "
            "  (SELECT transaction_id, array_agg(payout::text) AS payouts FROM postback.conversions GROUP BY 1) AS v USING (transaction_id) "
            "GROUP BY p.transaction_id, p.click_id, v.payouts"
        ).fetchall()
        wrong, paid = [], 0
        for *sale, has_click in sales:
            _, verdicts, payouts = sale
            repeats = len(verdicts) - 1
            expected = (["accepted"] + ["duplicate"] * repeats, [PAYOUT]) if has_click else (["unmatched"] * len(verdicts), None)
            if (verdicts, payouts) != expected:
                wrong.append(sale)
            paid += has_click
        totals = database.execute(
            "SELECT (SELECT sum(payout) FROM postback.conversions), (SELECT sum(payout_delta) FROM postback.conversion_events)"
        ).fetchone()
        if set(totals) != {paid * decimal.Decimal(PAYOUT)}:
            wrong.append(totals)
        return wrong + database.execute("SELECT * FROM postback.verify_ledger()").fetchall()
