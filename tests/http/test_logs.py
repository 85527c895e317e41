"""The log says what happened, and nothing of what a client or a network sent."""

import json

from support import Campaign, connect, database_url, wait_until
from wire import request, send

CANARY = "c4n4ry0fAS3cr3t"
PHONE_NUMBER = "15551234567"


def everything_a_client_may_send(proxy, campaign):
    """Requests with the canary in every place, well-formed and not."""
    code = campaign.codes[1001]
    for target in (
        f"/{code}?x={CANARY}&phone={PHONE_NUMBER}",
        f"/{CANARY}",
        f"/{CANARY}/{PHONE_NUMBER}",
        f"/click?campaign=456&sub1={CANARY}&sub2={PHONE_NUMBER}",
        f"/click?campaign={CANARY}",
        f"/click?campaign=456&click_id={CANARY}",
        f"/click?campaign=456&click_id=%00{CANARY}",
        f"/postback?token={CANARY}&click_id={CANARY}",
        f"/postback/guarded?token={CANARY}&click_id={PHONE_NUMBER}",
        f"/postback/guarded/{CANARY}",
        f"/postback/guarded?sig={CANARY}",
        f"/postback/{CANARY}/{CANARY}?x=%zz{CANARY}",
        f"/postback?payout={CANARY}&transaction_id={PHONE_NUMBER}",
        f"//{CANARY}",
        f"http://{CANARY}.example/{code}",
        f"/{CANARY}?{CANARY * 700}",
        "/" + CANARY * 5000,
    ):
        headers = [
            (name, f"{CANARY} {PHONE_NUMBER}")
            for name in ("User-Agent", "Referer", "Cookie", "Authorization", "X-Forwarded-For", "Purpose")
        ]
        for method in ("GET", "HEAD", "POST", CANARY):
            send(proxy, request(target, method, headers=headers))
    for kind in ("application/json", "application/x-www-form-urlencoded", CANARY):
        for body in (
            f'{{"token": "{CANARY}", "click_id": "{CANARY}"}}',
            f"token={CANARY}&click_id={PHONE_NUMBER}",
            f"{{{CANARY}",
        ):
            send(proxy, request("/postback/guarded", "POST", headers=[("Content-Type", kind)], body=body.encode()))
    for data in (
        f"{CANARY}\r\n\r\n",
        f"GET /{CANARY} HTTP/1.1\r\nHost: {CANARY},{CANARY}\r\n\r\n",
        f"GET / HTTP/1.1\r\n{CANARY} : {CANARY}\r\n\r\n",
        f"GET / HTTP/{CANARY}\r\n\r\n",
        f"POST /postback HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: {CANARY}\r\n\r\n",
    ):
        send(proxy, data.encode())


def lines_of(proxy):
    """Every line is JSON; nothing but the log is written to stderr."""
    return [json.loads(line) for line in proxy.log.splitlines()]


def check(proxy, database, campaign):
    log = proxy.log.lower()
    for secret in (CANARY, PHONE_NUMBER, "a-path-token-of-theirs", "a-secret-of-theirs-32", *campaign.codes.values()):
        assert secret.lower() not in log, secret
    for (click_id,) in database.execute("SELECT click_id FROM postback.clicks"):
        assert click_id.lower() not in log
    for part in ("http://", "https://", "/postback", "/click", "aff_click_id"):
        assert part not in log, part


def test_log_never_repeats_what_came_in_not_even_for_debugging(start_proxy, database, campaign):
    database.execute("SELECT postback.add_network('guarded')")
    for kind, secret in (
        ("hmac", "a-secret-of-theirs-32"),
        ("token", "a-secret-of-theirs-32"),
        ("path_token", "a-path-token-of-theirs"),
    ):
        database.execute("SELECT postback.add_network_secret('guarded', %s, %s)", [kind, secret])
    proxies = [
        start_proxy(database_url(database), log=level, trusted_proxies="127.0.0.1") for level in ("debug", "info")
    ]
    for proxy in proxies:
        everything_a_client_may_send(proxy, campaign)
        check(proxy, database, campaign)
    assert any(line["level"] == "DEBUG" for line in lines_of(proxies[0]))
    assert not any(line["level"] == "DEBUG" for line in lines_of(proxies[1]))


def test_log_does_not_repeat_what_the_database_quotes_in_its_errors(start_proxy, databases):
    with connect(databases.create()) as database:
        campaign = Campaign(database)
        database.execute(
            f"ALTER TABLE postback.clicks ADD CONSTRAINT poison CHECK (strpos(user_agent, '{CANARY}') = 0) NOT VALID"
        )
        database.execute(
            "CREATE FUNCTION public.explode() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'no: %', NEW USING ERRCODE = '58030'; END $$"
        )
        database.execute(
            "CREATE TRIGGER explode BEFORE INSERT ON postback.postbacks FOR EACH ROW EXECUTE FUNCTION public.explode()"
        )
        proxy = start_proxy(database_url(database), log="debug")
        for target in (
            f"/{campaign.codes[1001]}",
            f"/click?campaign=456&click_id={CANARY}2",
            f"/postback?transaction_id={CANARY}{PHONE_NUMBER}",
        ):
            answer = proxy.get(target, headers={"User-Agent": f"{CANARY} {PHONE_NUMBER}"})
            assert answer.status == 503
            assert CANARY.encode() not in answer.body
        wait_until(lambda: "23514" in proxy.log and "58030" in proxy.log, "the refusals are logged")
        check(proxy, database, campaign)


def test_metrics_never_repeat_what_came_in(start_proxy, database, campaign):
    proxy = start_proxy(database_url(database))
    everything_a_client_may_send(proxy, campaign)
    text = proxy.admin("/metrics").text
    assert CANARY not in text and PHONE_NUMBER not in text


def test_clients_that_misbehave_cost_no_line_each(start_proxy, database, campaign):
    proxy = start_proxy(database_url(database))
    before = len(lines_of(proxy))
    everything_a_client_may_send(proxy, campaign)
    assert len(lines_of(proxy)) - before <= 5
