"""What was answered is stored, once, whatever happens between proxy and database."""

import collections
import concurrent.futures
import os
import resource
import signal
import time

import pytest
import wire
from load import Load
from support import connect, database_url, wait_until

KILL = (
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
    "WHERE datname = current_database() AND application_name = 'postback-proxy'"
)


def tap_forever(proxy, database, code=None):
    code = code or database.campaign.codes[1001]
    return Load(proxy, lambda number: f"/{code}", lambda number: {"User-Agent": f"Mozilla/5.0 (X11) Gecko/{number}"})


def stored_clicks(database):
    """How often each request was stored, and the click ids; a request is known by its user agent."""
    rows = database.execute(
        "SELECT click_id, split_part(user_agent, 'Gecko/', 2)::bigint FROM postback.clicks"
    ).fetchall()
    return collections.Counter(number for _, number in rows), {click_id for click_id, _ in rows}


def calls_that_failed(proxy):
    """How many database calls failed: without any, a test of lost connections has tested nothing."""
    lines = proxy.admin("/metrics").text.splitlines()
    return sum(int(line.split()[-1]) for line in lines if line.startswith("postback_database_errors_total"))


def check_clicks(load, database):
    """acked − stored = ∅, nothing twice, nothing that nobody asked for."""
    times, click_ids = stored_clicks(database)
    for number, (status, location) in load.answered.items():
        if status == 302:
            assert times[number] == 1
            assert location.split("aff_click_id=")[1] in click_ids
    assert max(times.values()) == 1
    assert set(times) <= set(load.answered) | load.unknown


def test_sigterm_under_load_loses_nothing_and_ends_with_zero(start_proxy, place):
    proxy = start_proxy(database_url(place), drain_seconds=5)
    load = tap_forever(proxy, place)
    wait_until(load.has_answered(500), "the load is running")
    started = time.monotonic()
    assert proxy.stop() == 0
    assert time.monotonic() - started < 5 + 2
    load.join()
    assert load.statuses == {302}
    check_clicks(load, place)
    # A drain answers what it has taken in: hardly a request stays without its answer.
    assert len(load.unknown) <= len(load.threads)


def test_idle_connections_do_not_hold_up_the_shutdown(start_proxy, place):
    proxy = start_proxy(database_url(place), drain_seconds=10)
    with wire.connect(proxy) as idle, wire.connect(proxy):
        idle.sendall(wire.request("/", close=False))
        assert idle.recv(65536)
        started = time.monotonic()
        assert proxy.stop() == 0
        assert time.monotonic() - started < 5


def test_slow_clients_do_not_hold_up_the_shutdown_beyond_its_deadline(start_proxy, place):
    proxy = start_proxy(database_url(place), drain_seconds=1)
    with wire.connect(proxy) as in_body, wire.connect(proxy) as in_head:
        in_body.sendall(wire.request("/postback", "POST", headers=[("Content-Length", "10")]))
        in_head.sendall(b"GET / HT")
        assert proxy.get("/").status == 200
        started = time.monotonic()
        assert proxy.stop() == 0
        assert time.monotonic() - started < 4


def test_sigint_stops_it_too(start_proxy, place):
    proxy = start_proxy(database_url(place))
    proxy.process.send_signal(signal.SIGINT)
    assert proxy.process.wait(timeout=10) == 0


@pytest.mark.parametrize("code", [None, "spring-sale"], ids=["a code", "an alias"])
def test_killed_backends_under_load_lose_and_double_no_click(start_proxy, place, code):
    # An alias names no bucket, so its taps go a way of their own.
    place.execute("INSERT INTO postback.link_aliases SELECT 'spring-sale', link_id FROM postback.links WHERE subscriber_id = 1001")
    proxy = start_proxy(database_url(place))
    load = tap_forever(proxy, place, code)
    for _ in range(15):
        wait_until(load.has_answered(len(load.answered) + 300), "taps are recorded again")
        assert place.execute(KILL).fetchone()[0] > 0
    wait_until(load.has_answered(len(load.answered) + 300), "taps are recorded again")
    load.end()
    assert load.statuses <= {302, 503}
    assert load.unknown == set()
    assert calls_that_failed(proxy) > 0
    check_clicks(load, place)


def test_killed_backends_under_load_lose_and_double_no_postback(start_proxy, place):
    proxy = start_proxy(database_url(place))
    tap = proxy.get(f"/{place.campaign.codes[1001]}")
    click_id = tap.location.split("aff_click_id=")[1]
    load = Load(
        proxy,
        lambda number: f"/postback?click_id={click_id}&payout=1.00&transaction_id={number}",
        lambda number: {},
        clients=8,
    )
    for _ in range(10):
        wait_until(load.has_answered(len(load.answered) + 100), "postbacks are recorded again")
        place.execute(KILL)
    wait_until(load.has_answered(len(load.answered) + 100), "postbacks are recorded again")
    load.end()
    assert load.statuses <= {200, 503}
    assert calls_that_failed(proxy) > 0
    messages = collections.Counter(
        row[0] for row in place.execute("SELECT transaction_id::bigint FROM postback.postbacks")
    )
    conversions = collections.Counter(
        row[0] for row in place.execute("SELECT transaction_id::bigint FROM postback.conversions")
    )
    assert messages == conversions
    assert max(messages.values()) == 1
    acknowledged = {number for number, (status, _) in load.answered.items() if status == 200}
    assert acknowledged <= set(messages)
    assert set(messages) <= set(load.answered)


def test_foreign_clicks_survive_killed_backends(start_proxy, place):
    proxy = start_proxy(database_url(place))
    load = Load(proxy, lambda number: f"/click?campaign=456&click_id=f{number}", lambda number: {}, clients=8)
    for _ in range(5):
        wait_until(load.has_answered(len(load.answered) + 50), "taps are recorded again")
        place.execute(KILL)
    load.end()
    assert load.statuses <= {302, 503}
    stored = [row[0] for row in place.execute("SELECT click_id FROM postback.clicks")]
    assert len(stored) == len(set(stored))
    assert {f"f{number}" for number, (status, _) in load.answered.items() if status == 302} <= set(stored)


def test_request_the_database_refuses_does_not_fail_its_neighbours(start_proxy, place):
    proxy = start_proxy(database_url(place), click_connections=1)
    place.execute("ALTER TABLE postback.clicks ADD CONSTRAINT poison CHECK (user_agent NOT LIKE '%poison%')")
    code = place.campaign.codes[1002]
    agents = [f"Mozilla/5.0 (X11) Gecko/{number}" for number in range(40)]
    agents[7] = agents[23] = "poison"
    with concurrent.futures.ThreadPoolExecutor(40) as clients:
        answers = list(clients.map(lambda agent: proxy.get(f"/{code}", headers={"User-Agent": agent}), agents))
    assert {answer.status for agent, answer in zip(agents, answers) if agent == "poison"} == {503}
    assert {answer.status for agent, answer in zip(agents, answers) if agent != "poison"} == {302}
    assert place.execute("SELECT count(*) FROM postback.clicks").fetchone()[0] == 38


def test_deadlocks_and_locks_are_waited_for(start_proxy, place):
    proxy = start_proxy(database_url(place), request_deadline_ms=10_000)
    code = place.campaign.codes[1001]
    with concurrent.futures.ThreadPoolExecutor(1) as client, connect(place.info.dbname) as other:
        with other.transaction():
            other.execute("LOCK TABLE postback.clicks IN ACCESS EXCLUSIVE MODE")
            answer = client.submit(proxy.get, f"/{code}")
            waiting = (
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            wait_until(lambda: place.execute(waiting).fetchone()[0] > 0, "the tap waits for the lock")
            assert not answer.done()
        assert answer.result().status == 302


def test_request_is_503_at_its_deadline_while_the_database_hangs(start_proxy, place):
    proxy = start_proxy(database_url(place), request_deadline_ms=200)
    with connect(place.info.dbname) as other, other.transaction():
        other.execute("LOCK TABLE postback.clicks, postback.postbacks IN ACCESS EXCLUSIVE MODE")
        for target in (f"/{place.campaign.codes[1001]}", "/postback?transaction_id=a"):
            answer = proxy.get(target)
            assert (answer.status, answer.headers["cache-control"]) == (503, "no-store")
            assert answer.headers["retry-after"]
    wait_until(lambda: proxy.get(f"/{place.campaign.codes[1001]}").status == 302, "taps are recorded again")


def test_tap_whose_client_has_hung_up_is_recorded_all_the_same(start_proxy, place):
    proxy = start_proxy(database_url(place))
    count = "SELECT count(*) FROM postback.clicks"
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with connect(place.info.dbname) as other, other.transaction():
        other.execute("LOCK TABLE postback.clicks IN ACCESS EXCLUSIVE MODE")
        with wire.connect(proxy) as client:
            client.sendall(wire.request(f"/{place.campaign.codes[1001]}"))
            wait_until(lambda: place.execute(waiting).fetchone()[0] > 0, "the tap waits for the lock")
    wait_until(lambda: place.execute(count).fetchone()[0] == 1, "the tap is stored")


def test_want_of_file_descriptors_is_survived(start_proxy, place):
    # One connection, which the first tap opens: later there is no descriptor for another.
    proxy = start_proxy(database_url(place), click_connections=1)
    assert proxy.get(f"/{place.campaign.codes[1001]}").status == 302
    used = len(os.listdir(f"/proc/{proxy.process.pid}/fd"))
    resource.prlimit(proxy.process.pid, resource.RLIMIT_NOFILE, (used + 20, used + 20))
    crowd = [wire.connect(proxy) for _ in range(60)]
    wait_until(lambda: "cannot be accepted" in proxy.log, "the want is told")
    # Those who are in are served.
    crowd[0].sendall(wire.request(f"/{place.campaign.codes[1001]}"))
    assert wire.answers(wire.read_all(crowd[0]))[0].status == 302
    for client in crowd:
        client.close()
    wait_until(lambda: proxy.get(f"/{place.campaign.codes[1001]}").status == 302, "everybody is served again")
    assert proxy.log.count("cannot be accepted") < 100


def test_serializable_default_changes_nothing(start_proxy, place):
    place.execute(f"ALTER DATABASE {place.info.dbname} SET default_transaction_isolation = 'serializable'")
    proxy = start_proxy(database_url(place))
    click_id = proxy.get(f"/{place.campaign.codes[1001]}").location.split("aff_click_id=")[1]
    target = f"/postback?click_id={click_id}&payout=1.00&transaction_id=once"
    with concurrent.futures.ThreadPoolExecutor(20) as clients:
        answers = list(clients.map(lambda _: proxy.get(target), range(40)))
    assert {answer.status for answer in answers} == {200}
    assert place.execute("SELECT count(*), sum(payout)::text FROM postback.conversions").fetchone() == (1, "1.00")
