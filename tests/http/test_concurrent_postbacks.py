"""Many postbacks at once: one conversion for each key, whatever the order, and nothing is answered but 200."""

import concurrent.futures
import random
import time
from urllib.parse import urlencode

import pytest
from support import connect, database_url

pytestmark = pytest.mark.usefixtures("never_5xx")

CONNECTIONS = 16
TRANSACTIONS = 50
ROUNDS = 20  # each transaction's distinct messages
BEGIN = int(time.time()) - 3600
CLICKED = BEGIN + 200  # the network's clock is slow: the first messages seem to lie before the click


def send_all(proxy, targets, connections=CONNECTIONS):
    with concurrent.futures.ThreadPoolExecutor(connections) as pool:
        return [answer.status for answer in pool.map(proxy.get, targets)]


def state(connection):
    """Every transaction's conversions: how many, where they stand, what the ledger sums to."""
    return connection.execute(
        """SELECT c.transaction_id, count(*), min(c.status::text), sum(c.payout), sum(e.total)
           FROM postback.conversions AS c
           CROSS JOIN LATERAL (SELECT sum(payout_delta) AS total FROM postback.conversion_events AS e
                               WHERE e.conversion_id = c.conversion_id AND e.bucket = c.bucket) AS e
           WHERE c.transaction_id LIKE 'mixed%' GROUP BY c.transaction_id ORDER BY c.transaction_id"""
    ).fetchall()


def add_clicks(connection):
    connection.execute("SELECT postback.add_offer('Offer', 'https://network.example.com/?c={click_id}', offer_id => 1)")
    connection.execute(
        """SELECT count(*) FROM generate_series(1, %s) AS n, LATERAL postback.record_click(
               offer_id => 1, click_id => 'click' || n, now => to_timestamp(%s)) AS c""",
        [TRANSACTIONS, CLICKED],
    )


def story(transaction):
    """The life of one transaction, each message with the network's own time of it."""
    chance = random.Random(transaction)
    for moment in range(ROUNDS):
        status = "pending" if moment == 0 else chance.choice(["approved", "approved", "rejected", "reversed"])
        amount = {"payout": f"{chance.randrange(1, 5000) / 100:.2f}"} if chance.random() < 0.8 else {}
        yield amount | {
            "click_id": f"click{transaction}",
            "transaction_id": f"mixed{transaction:02}",
            "status": status,
            "timestamp": BEGIN + 60 * moment,
        }


@pytest.fixture(scope="module", autouse=True)
def clicks(database):
    add_clicks(database)


def test_one_hundred_identical_postbacks_are_one_conversion(proxy, database):
    target = "/postback?" + urlencode({"click_id": "click1", "transaction_id": "same", "payout": "12.50"})
    assert send_all(proxy, [target] * 100, connections=100) == [200] * 100
    rows = database.execute("SELECT status::text, payout::text FROM postback.conversions WHERE transaction_id = 'same'")
    assert rows.fetchall() == [("approved", "12.50")]
    verdicts = database.execute(
        "SELECT verdict::text, count(*) FROM postback.postbacks WHERE transaction_id = 'same' GROUP BY 1 ORDER BY 2"
    )
    assert verdicts.fetchall() == [("accepted", 1), ("duplicate", 99)]


def test_mixed_order_ends_like_the_sequential_run(proxy, database, databases, start_proxy):
    in_order = ["/postback?" + urlencode(m) for number in range(1, TRANSACTIONS + 1) for m in story(number)]
    mixed = in_order * 2
    random.Random(20261124).shuffle(mixed)
    assert len(mixed) == 2000
    assert send_all(proxy, mixed) == [200] * 2000

    with connect(databases.create()) as other:
        add_clicks(other)
        sequential = start_proxy(database_url(other))
        assert send_all(sequential, in_order, connections=1) == [200] * len(in_order)
        expected = state(other)
        assert other.execute("SELECT * FROM postback.verify_ledger()").fetchall() == []

    got = state(database)
    assert len(got) == TRANSACTIONS
    assert got == expected
    assert len({row[2] for row in got}) > 1
    assert all(count == 1 and payout == ledger for _, count, _, payout, ledger in got)
    assert database.execute("SELECT * FROM postback.verify_ledger()").fetchall() == []


def test_simultaneous_messages_under_the_policy_new_are_one_conversion_each(proxy, database):
    database.execute("""UPDATE postback.networks SET duplicate_policies = '{"rebill": "new"}'""")
    target = "/postback?" + urlencode(
        {"click_id": "click2", "transaction_id": "again", "payout": "3", "event": "rebill"}
    )
    assert send_all(proxy, [target] * 60, connections=60) == [200] * 60
    repeats = database.execute("SELECT repeat FROM postback.conversions WHERE transaction_id = 'again' ORDER BY repeat")
    assert [repeat for (repeat,) in repeats.fetchall()] == list(range(60))
    assert database.execute("SELECT * FROM postback.verify_ledger()").fetchall() == []
