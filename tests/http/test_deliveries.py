"""Conversions are told to their destinations: in which form, how fast, by whom, and what an operator can do about it."""

import base64
import hashlib
import hmac
import json
import signal
import threading
import time

import pytest
from receiver import OK, hang, status
from support import DEADLINE, wait_until

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
NEXT_SECRET = "whsec_" + base64.b64encode(bytes(range(32, 64))).decode()
CLAIMS = 'postback_call_duration_seconds_count{call="claim_deliveries"}'


def standard_signature(secret, request):
    """What the specification of Standard Webhooks 1.0.0 says the signature is."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode() + request.body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def metric(proxy, name):
    lines = [line for line in proxy.admin("/metrics").text.splitlines() if line.startswith(f"{name} ")]
    return float(lines[0].split()[-1])


def test_postback_is_told_as_the_template_says(outbound):
    receiver = outbound.receiver()
    url = receiver.url("/in/{network}?t={transaction_id}&p={payout}&s={status}&c={click_id}&e={event}&id={delivery_id}")
    destination = outbound.add("d", url)
    proxy = outbound.start(log="debug")
    answer = proxy.get("/postback?click_id=c1&payout=12.50&transaction_id=%C3%BC%26%20%2F%7Bclick_id%7D&status=approved")
    assert answer.status == 200
    outbound.wait_for(destination, "delivered", 1)
    [request] = receiver.requests
    [(id, response)] = outbound.deliveries(destination, "delivery_id, last_response")
    expected = f"/in/default?t=%C3%BC%26%20%2F%7Bclick_id%7D&p=12.50&s=approved&c=c1&e=&id={id}"
    assert (request.method, request.target, request.body, response) == ("GET", expected, b"", "ok")
    version = outbound.value("SELECT postback.version()")
    assert request.headers == {
        "host": f"127.0.0.1:{receiver.port}",
        "connection": "close",
        "user-agent": f"postback/{version}",
        "idempotency-key": id,
    }
    wait_until(lambda: metric(proxy, 'postback_deliveries_total{outcome="2xx"}') == 1, "it is counted")
    assert metric(proxy, "postback_deliveries_in_flight") == 0
    # The log knows it by its id alone.
    assert id in proxy.log
    assert "/in/" not in proxy.log and "=c1" not in proxy.log


def test_each_change_of_a_conversion_is_told_under_an_id_of_its_own(outbound):
    receiver = outbound.receiver()
    url = receiver.url("/?s={status}&p={payout}&d={payout_delta}")
    destination = outbound.add("d", url, statuses="{approved,reversed}")
    proxy = outbound.start()
    for message in ("payout=2.00&status=approved", "payout=2.00&status=approved", "status=reversed"):
        assert proxy.get(f"/postback?click_id=c1&transaction_id=t1&{message}").status == 200
    outbound.wait_for(destination, "delivered", 2)
    assert {request.target for request in receiver.requests} == {
        "/?s=approved&p=2.00&d=2.00",
        "/?s=reversed&p=0.00&d=-2.00",
    }
    assert len(set(receiver.ids)) == 2


@pytest.mark.parametrize("secrets", [[SECRET], [SECRET, NEXT_SECRET]], ids=["one secret", "two while rotating"])
def test_standard_webhooks_signature_is_that_of_its_specification(outbound, secrets):
    receiver = outbound.receiver()
    destination = outbound.add(
        "d",
        receiver.url("/in"),
        method="POST",
        body_template='{"transaction": "{transaction_id}", "payout": {payout}}',
        content_type="application/json",
        signing="standard_webhooks",
        secret=secrets[0],
    )
    for secret in secrets[1:]:
        outbound.connection.execute("SELECT postback.set_destination_secret('d', %s)", [secret])
    transaction = outbound.convert()
    outbound.start()
    outbound.wait_for(destination, "delivered")
    [request] = receiver.requests
    assert request.headers["content-type"] == "application/json"
    assert json.loads(request.body) == {"transaction": str(transaction), "payout": 1.0}
    signatures = request.headers["webhook-signature"].split(" ")
    assert set(signatures) == {standard_signature(secret, request) for secret in secrets}
    assert request.headers["webhook-id"] == request.id
    assert abs(int(request.headers["webhook-timestamp"]) - time.time()) < 60


def test_hmac_signature_covers_time_method_url_and_body(outbound):
    receiver = outbound.receiver()
    body = "t={transaction_id}"
    form = "application/x-www-form-urlencoded"
    secret = "sixteen bytes and more"
    # The URL as the receiver sees it is the one that was signed.
    url = receiver.url("/a'b?c={click_id}|'")
    destination = outbound.add(
        "d", url, method="PUT", body_template=body, content_type=form, signing="hmac_sha256", secret=secret
    )
    transaction = outbound.convert()
    outbound.start()
    outbound.wait_for(destination, "delivered")
    [request] = receiver.requests
    fields = dict(field.split("=") for field in request.headers["x-postback-signature"].split(","))
    signed = f"{fields['t']}.PUT.http://{request.headers['host']}{request.target}.".encode() + request.body
    assert fields["v1"] == hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    assert (request.method, request.body) == ("PUT", b"t=%d" % transaction)


def test_attempts_of_one_delivery_carry_the_same_id(outbound):
    receiver = outbound.receiver(status(500), OK)
    destination = outbound.add("d", receiver.url())
    outbound.start()
    outbound.convert()
    outbound.wait_for(destination, "delivered")
    assert receiver.ids == [id for (id,) in outbound.deliveries(destination, "delivery_id")] * 2


def test_destination_gets_no_more_at_once_than_it_may(outbound):
    released = threading.Event()
    receiver = outbound.receiver(lambda connection: (released.wait(DEADLINE), connection.sendall(OK)))
    destination = outbound.add("d", receiver.url(), max_concurrency=3)
    outbound.convert(30)
    # Between them two proxies keep the limit as well.
    proxies = [outbound.start(), outbound.start()]
    wait_until(lambda: receiver.busy == 3, "its slots are used")
    looks = [metric(proxy, CLAIMS) for proxy in proxies]
    wait_until(lambda: all(metric(proxy, CLAIMS) > before for proxy, before in zip(proxies, looks)), "both have looked")
    assert len(receiver.requests) == 3
    released.set()
    outbound.wait_for(destination, "delivered")
    assert receiver.most_busy == 3
    assert len(receiver.requests) == len(set(receiver.ids)) == 30


def test_destination_gets_no_more_per_second_than_it_may(outbound):
    receiver = outbound.receiver()
    destination = outbound.add("d", receiver.url(), max_rate=20, max_concurrency=100)
    outbound.convert(30)
    outbound.start()
    outbound.wait_for(destination, "delivered")
    times = sorted(request.at for request in receiver.requests)
    # 29 of them 50 ms after the one before; the last may have caught up with a late one.
    assert times[-1] - times[0] > 29 / 20 * 0.8


def test_proxies_share_the_queue_without_doubling(outbound):
    receiver = outbound.receiver()
    destination = outbound.add("d", receiver.url(), max_concurrency=100)
    outbound.convert(300)
    for _ in range(3):
        outbound.start()
    outbound.wait_for(destination, "delivered")
    assert len(receiver.requests) == len(set(receiver.ids)) == 300


def test_process_sends_no_more_at_once_than_it_may(outbound):
    receivers = [outbound.receiver(hang) for _ in range(5)]
    for number, receiver in enumerate(receivers):
        outbound.add(f"d{number}", receiver.url(), max_concurrency=2)
    outbound.convert(4)
    proxy = outbound.start(max_deliveries=5, drain_seconds=0)
    # Each destination has its turn before one has its second.
    wait_until(lambda: [receiver.busy for receiver in receivers] == [1] * 5, "all slots are used")
    assert metric(proxy, "postback_deliveries_in_flight") == 5
    assert outbound.value("SELECT count(*) FROM postback.deliveries WHERE state = 'sending'") == 5


def test_dead_receiver_is_disabled_with_an_alert_and_goes_on_when_enabled(outbound):
    receiver = outbound.receiver(status(503))
    destination = outbound.add("d", receiver.url(), disable_after=5, max_concurrency=1)
    outbound.convert(8)
    outbound.start()
    alerts = "SELECT count(*) FROM postback.alerts WHERE kind = 'destination_disabled' AND subject = 'd' AND resolved_at IS NULL"
    wait_until(lambda: outbound.value(alerts) == 1, "there is an alert")
    assert len(receiver.requests) == 5
    assert outbound.value("SELECT disabled_reason FROM postback.delivery_queue") == "5 deliveries in a row failed"
    # What happens meanwhile is not lost.
    outbound.convert(2)
    outbound.wait_for(destination, "queued", 10)
    receiver.answers = (OK,)
    outbound.connection.execute("SELECT postback.enable_destination('d')")
    outbound.wait_for(destination, "delivered", 10)
    assert outbound.value(alerts) == 0
    assert len(receiver.requests) == 15


def test_receiver_that_is_gone_is_left_alone(outbound):
    receiver = outbound.receiver(status(410))
    destination = outbound.add("d", receiver.url(), max_concurrency=1)
    outbound.convert(2)
    outbound.start()
    outbound.wait_for(destination, "dead", 1)
    outbound.wait_for(destination, "queued", 1)
    assert outbound.value("SELECT disabled_reason FROM postback.delivery_queue") == "it answered 410 Gone"
    assert len(receiver.requests) == 1


def test_dead_letters_are_replayed_by_hand_under_their_ids(outbound):
    receiver = outbound.receiver(status(500))
    destination = outbound.add("d", receiver.url(), retry_after_failures="{100 milliseconds}")
    outbound.start()
    outbound.convert(3)
    outbound.wait_for(destination, "dead")
    assert len(receiver.requests) == 6
    first = set(receiver.ids)
    receiver.answers = (OK,)
    [one, *_] = receiver.ids
    outbound.connection.execute("SELECT postback.replay_delivery(%s)", [one])
    outbound.wait_for(destination, "delivered", 1)
    assert receiver.ids[6:] == [one]
    assert outbound.value("SELECT postback.replay_deliveries('d', now() - interval '1 hour')") == 2
    outbound.wait_for(destination, "delivered")
    assert set(receiver.ids[6:]) == first and len(receiver.ids) == 9


def test_sigterm_sees_deliveries_through(outbound):
    def answer_while_it_drains(connection):
        proxy.process.send_signal(signal.SIGTERM)
        wait_until(lambda: "draining" in proxy.log, "the drain has begun")
        connection.sendall(OK)

    receiver = outbound.receiver(answer_while_it_drains)
    destination = outbound.add("d", receiver.url(), max_concurrency=1)
    proxy = outbound.start()
    outbound.convert(2)
    wait_until(lambda: proxy.process.poll() is not None, "the proxy has ended")
    assert proxy.process.returncode == 0
    assert len(receiver.requests) == 1
    assert outbound.count(destination, "delivered") == outbound.count(destination, "queued") == 1


def test_drain_ends_in_time_and_leaves_the_rest_to_the_lease(outbound):
    receiver = outbound.receiver(hang)
    destination = outbound.add("d", receiver.url(), timeout="30 seconds")
    proxy = outbound.start(drain_seconds=1)
    outbound.convert()
    wait_until(lambda: receiver.busy == 1, "it is under way")
    started = time.monotonic()
    assert proxy.stop() == 0
    assert time.monotonic() - started < 10
    assert "the drain was cut short" in proxy.log
    lease = outbound.deliveries(destination, "extract(epoch FROM due_at - last_attempt_at)::integer")
    assert lease == [(60,)]


def test_proxy_that_shall_not_deliver_claims_nothing(outbound):
    receiver = outbound.receiver()
    destination = outbound.add("d", receiver.url())
    outbound.convert()
    passive = outbound.start(deliveries="off")
    assert metric(passive, CLAIMS) == 0
    active = outbound.start()
    outbound.wait_for(destination, "delivered")
    assert metric(active, CLAIMS) > 0
    assert metric(passive, CLAIMS) == 0


def test_role_of_the_proxy_is_enough(outbound):
    receiver = outbound.receiver()
    destination = outbound.add("d", receiver.url(), signing="standard_webhooks", secret=SECRET)
    role = f"{outbound.connection.info.dbname}_ingest"
    outbound.connection.execute(f"CREATE ROLE {role} LOGIN")
    outbound.connection.execute(f"SELECT postback.grant_role('{role}', 'ingest')")
    proxy = outbound.start(role)
    outbound.convert()
    outbound.wait_for(destination, "delivered")
    assert proxy.stop() == 0
    outbound.connection.execute(f"DROP OWNED BY {role}")
    outbound.connection.execute(f"DROP ROLE {role}")
