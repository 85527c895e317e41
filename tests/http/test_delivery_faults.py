"""Receivers that fail in every way: nothing is lost, nobody else waits, nothing is reached that must not be.

`pytest -rP` shows the figures of each case.
"""

import collections
import os
import signal
import socket
import struct
import time

import pytest
import trustme
from receiver import OK, Gigabyte, hang, status, tls_context
from support import connect, wait_until

PROMPT = 5.0  # seconds: a queue is looked at each second, the rest is for a busy machine


def reset(connection):
    """Hangs up with a TCP reset, in the middle of a head."""
    connection.sendall(b"HTTP/1.1 200 O")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


# What the receiver does, and what is kept of it: the status and the beginning of the error.
CASES = {
    "500": (status(500), 500, "the answer was 500"),
    "404": (status(404), 404, "the answer was 404"),
    "429 with Retry-After": (status(429, "Retry-After: 1"), 429, "the answer was 429"),
    "redirect to this machine": (status(302, "Location: http://127.0.0.1:{trap}/trap"), 302, "the answer was 302"),
    "upgrade": (status(101, "Upgrade: h2c", "Connection: Upgrade"), 101, "the answer was 101"),
    "gigabyte": (Gigabyte(500), 500, "the answer was 500"),
    "hang": (hang, None, "no answer within 400 ms"),
    "closes at once": (b"", None, "no answer: "),
    "closes in the head": (b"HTTP/1.1 200 OK\r\nContent-Le", None, "no answer: "),
    "reset in the head": (reset, None, "no answer: "),
    "garbage": (b"\x16\x03\x01\x00\xff" * 100, None, "no answer: "),
    "endless head": (b"HTTP/1.1 200 OK\r\nX: " + b"x" * (1 << 20), None, "no answer: "),
}


def misbehaviour(case, trap):
    """The answer of a case; `trap` is where its redirect leads."""
    answer = CASES[case][0]
    return answer.replace(b"{trap}", str(trap.port).encode()) if isinstance(answer, bytes) else answer


def longest_delay(outbound, healthy, times=2):
    """The longest time in seconds until the healthy receiver has heard of a conversion."""
    longest = 0.0
    for _ in range(times):
        before, started = len(healthy.requests), time.monotonic()
        outbound.convert()
        wait_until(lambda: len(healthy.requests) > before, "the healthy receiver hears of it")
        longest = max(longest, healthy.requests[before].at - started)
    return longest


def tell_figures(case, outbound, receiver, bad, delay):
    attempts = [attempts for (attempts,) in outbound.deliveries(bad, "attempts")]
    print(
        f"{case} | sent {len(receiver.requests)} | delivered {outbound.count(bad, 'delivered')} "
        f"| retried {sum(attempts) - len(attempts)} | dead {outbound.count(bad, 'dead')} | delay {delay:.2f} s"
    )


@pytest.mark.parametrize("case", CASES)
def test_receiver_that_recovers_gets_everything_and_keeps_nobody_waiting(outbound, case):
    healthy = outbound.receiver()
    receiver = outbound.receiver(*[misbehaviour(case, healthy)] * 12, OK)
    bad = outbound.add("bad", receiver.url(), timeout="400 milliseconds")
    good = outbound.add("good", healthy.url())
    outbound.start()
    outbound.convert(12)
    wait_until(lambda: len(healthy.requests) == 12, "the healthy receiver has all")
    delay = longest_delay(outbound, healthy)
    outbound.wait_for(bad, "delivered")
    outbound.wait_for(good, "delivered")
    tell_figures(case, outbound, receiver, bad, delay)
    assert delay < PROMPT
    assert {request.target for request in healthy.requests} == {"/in?click=c1"}, "a redirect was followed"
    # Each was sent as often as the database says, under the one id it has.
    assert collections.Counter(receiver.ids) == dict(outbound.deliveries(bad, "delivery_id, attempts"))
    assert len(receiver.requests) == outbound.conversions + 12
    assert sorted(healthy.ids) == sorted(id for (id,) in outbound.deliveries(good, "delivery_id"))


@pytest.mark.parametrize("case", CASES)
def test_reason_of_the_last_failure_is_kept(outbound, case):
    receiver = outbound.receiver(misbehaviour(case, outbound.receiver()))
    bad = outbound.add("bad", receiver.url("/s3cret"), timeout="400 milliseconds", retry_after_failures="{}")
    outbound.convert()
    outbound.start()
    outbound.wait_for(bad, "dead")
    [(code, error)] = outbound.deliveries(bad, "last_status_code, last_error")
    assert code == CASES[case][1]
    assert error.startswith(CASES[case][2])
    assert "s3cret" not in error


def test_body_after_a_success_is_not_waited_for(outbound):
    endless, broken = Gigabyte(), b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"

    def trickle(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nh")
        hang(connection)

    receiver = outbound.receiver(broken, trickle, endless)
    destination = outbound.add("d", receiver.url(), timeout="30 seconds")
    outbound.start()
    outbound.convert(6)
    outbound.wait_for(destination, "delivered")
    assert len(receiver.requests) == 6
    responses = [response for (response,) in outbound.deliveries(destination, "last_response")]
    assert sorted(responses) == sorted(["half", "h"] + ["x" * 512] * 4)


def test_gigabytes_cost_neither_time_nor_memory(outbound):
    endless = Gigabyte()
    receiver = outbound.receiver(endless)
    destination = outbound.add("d", receiver.url(), max_concurrency=20)
    proxy = outbound.start()
    before = resident_kilobytes(proxy)
    outbound.convert(40)
    outbound.wait_for(destination, "delivered")
    grown = resident_kilobytes(proxy) - before
    print(f"gigabyte × 40: the longest got rid of {max(endless.sent)} bytes, the proxy grew by {grown} kB")
    # What fits into the kernel's buffers of a connection.
    assert max(endless.sent) < 16 << 20
    assert grown < 32 << 10


def resident_kilobytes(proxy):
    """The most that the proxy has ever used."""
    with open(f"/proc/{proxy.process.pid}/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def test_hanging_receiver_with_a_long_queue_keeps_nobody_waiting(outbound):
    hanging, healthy = outbound.receiver(hang), outbound.receiver()
    # Every slot that a destination can have, for longer than anybody would wait.
    stuck = outbound.add("stuck", hanging.url(), max_concurrency=100, timeout="30 seconds")
    outbound.convert()
    copy_delivery(outbound, stuck, 9_999)
    outbound.add("good", healthy.url())
    outbound.start(drain_seconds=0)
    wait_until(lambda: hanging.busy == 100, "all its slots are taken")
    delay = longest_delay(outbound, healthy)
    assert outbound.value("SELECT due > 9000 FROM postback.delivery_queue WHERE name = 'stuck'")
    print(f"hang with 10,000 queued | sent {len(hanging.requests)} | delay {delay:.2f} s")
    assert delay < PROMPT
    assert hanging.most_busy == 100


def copy_delivery(outbound, destination, times):
    """Queues what the destination is to be told so many times more, under ids of their own."""
    outbound.connection.execute(
        """INSERT INTO postback.deliveries (delivery_id, destination_id, conversion_id, bucket, event_seq, due_at, created_at)
           SELECT postback.mint_click_id(), d.destination_id, d.conversion_id, d.bucket, d.event_seq, d.due_at, d.created_at
           FROM postback.deliveries AS d, generate_series(1, %s) WHERE d.destination_id = %s""",
        [times, destination],
    )


def test_retry_after_is_heeded_by_the_delivery_and_its_destination(outbound):
    receiver = outbound.receiver(status(429, "Retry-After: 3600"), OK)
    destination = outbound.add("d", receiver.url(), max_concurrency=1)
    outbound.start()
    outbound.convert(2)
    outbound.wait_for(destination, "queued", 2)
    wait_until(lambda: outbound.deliveries(destination, "max(last_status_code) OVER ()")[0] == (429,), "it was told")
    wait = "SELECT round(extract(epoch FROM max(due_at - last_attempt_at)))::integer FROM postback.deliveries"
    assert 3599 <= outbound.value(wait) <= 3602
    assert outbound.value("SELECT extract(epoch FROM next_send_at - now()) > 3500 FROM postback.destinations")
    assert len(receiver.requests) == 1


def test_private_addresses_behind_names_are_not_connected_to(outbound, monkeypatch):
    # A proxy of the environment would be a way around the check.
    relay = outbound.receiver()
    monkeypatch.setenv("http_proxy", relay.url(""))
    monkeypatch.setenv("ALL_PROXY", relay.url(""))
    receiver = outbound.receiver()
    bad = outbound.add("bad", receiver.url(host="localhost"), retry_after_failures="{}")
    also_bad = outbound.add("also bad", receiver.url(), retry_after_failures="{}")
    # Both were saved while this machine was allowed; now another network is.
    outbound.connection.execute("SELECT postback.allow_deliveries_to('10.9.9.9/32', 'elsewhere')")
    outbound.connection.execute("SELECT postback.refuse_deliveries_to('127.0.0.0/8')")
    outbound.convert()
    outbound.start()
    for destination in (bad, also_bad):
        outbound.wait_for(destination, "dead")
        [(error,)] = outbound.deliveries(destination, "last_error")
        assert error in ('the host is at "127.0.0.1", which is loopback', 'the host is at "::1", which is loopback')
    assert receiver.requests == relay.requests == []


def test_certificates_are_checked(outbound, monkeypatch, tmp_path):
    trusted, stranger = trustme.CA(), trustme.CA()
    trusted.cert_pem.write_to_path(tmp_path / "authorities.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authorities.pem"))
    certificates = {
        "good": trusted.issue_cert("127.0.0.1"),
        "stranger": stranger.issue_cert("127.0.0.1"),
        "other host": trusted.issue_cert("other.example"),
    }
    receivers = {name: outbound.receiver(tls=tls_context(certificate)) for name, certificate in certificates.items()}
    found = {name: outbound.add(name, receiver.url(), retry_after_failures="{}") for name, receiver in receivers.items()}
    outbound.convert()
    outbound.start()
    outbound.wait_for(found.pop("good"), "delivered")
    for destination in found.values():
        outbound.wait_for(destination, "dead")
        [(error,)] = outbound.deliveries(destination, "last_error")
        assert error.startswith("no TLS connection: ")
    assert [len(receiver.requests) for receiver in receivers.values()] == [1, 0, 0]


def test_closed_port_is_said(outbound):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    bad = outbound.add("bad", f"http://127.0.0.1:{port}/", retry_after_failures="{}")
    outbound.convert()
    outbound.start()
    outbound.wait_for(bad, "dead")
    assert outbound.deliveries(bad, "last_error") == [("no connection: connection refused",)]


def test_proxy_killed_between_answer_and_outcome_sends_again_under_the_same_id(outbound):
    receiver = outbound.receiver()
    destination = outbound.add("d", receiver.url())
    proxy = outbound.start()
    waiting = (
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'postback-proxy' "
        "AND wait_event_type = 'Lock' AND query LIKE '%%finish_deliveries%%'"
    )
    with connect(outbound.connection.info.dbname) as other:
        with other.transaction():
            # The claim is let through, then the row is held: the outcome cannot be written.
            receiver.answers = (lambda connection: (hold(other), connection.sendall(OK)),)
            outbound.convert()
            pid = wait_until(lambda: outbound.connection.execute(waiting).fetchone(), "the outcome waits")[0]
            os.kill(proxy.process.pid, signal.SIGKILL)
            proxy.process.wait()
            outbound.connection.execute("SELECT pg_terminate_backend(%s)", [pid])
            gone = "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = %s)"
            wait_until(lambda: outbound.value(gone, pid), "the outcome is gone")
    assert outbound.count(destination, "sending") == 1
    receiver.answers = (OK,)
    outbound.start()
    # The lease runs out.
    outbound.connection.execute("UPDATE postback.deliveries SET due_at = clock_timestamp()")
    outbound.wait_for(destination, "delivered")
    assert len(receiver.requests) == 2
    assert len(set(receiver.ids)) == 1
    assert outbound.deliveries(destination, "attempts") == [(2,)]


def hold(connection):
    connection.execute("SELECT FROM postback.deliveries FOR UPDATE")


def test_killed_backends_lose_nothing(outbound):
    receiver = outbound.receiver()
    destination = outbound.add("d", receiver.url(), max_concurrency=20)
    proxy = outbound.start(max_deliveries=20)
    outbound.convert(400)
    kill = (
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
        "WHERE datname = current_database() AND application_name = 'postback-proxy' AND query LIKE '%%deliver%%'"
    )
    for share in range(1, 6):
        wait_until(lambda: len(receiver.requests) >= share * 60, "deliveries go on")
        # After the last kill the connections are not there again at once.
        wait_until(lambda: outbound.value(kill) > 0, "some are killed")
    # Claimed by a call whose answer was lost: their lease runs out.
    wait_until(lambda: outbound.count(destination, "queued") == 0, "all have been claimed")
    wait_until(lambda: "postback_deliveries_in_flight 0" in proxy.admin("/metrics").text, "nothing is under way")
    expire = "UPDATE postback.deliveries SET due_at = clock_timestamp() WHERE state = 'sending'"
    wait_until(
        lambda: outbound.connection.execute(expire) and outbound.count(destination, "delivered") == 400, "all are told"
    )
    assert set(receiver.ids) == {id for (id,) in outbound.deliveries(destination, "delivery_id")}
