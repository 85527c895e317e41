"""What clients and networks see while the database is away, and that it is all in the database afterwards."""

import contextlib
import json
import re
import stat

import pytest
from outage import away, wait_until_drained
from support import connect, wait_until

TEMPLATES = [
    "https://n.example.com/offer/789?aff_click_id={click_id}",
    "https://n.example.com/{campaign_id}/{segment_id}/{variant_id}/{offer_id}/{send_id}?c={click_id}",
    "HTTP://N.example.COM:8443/x/{sub1}/{click_id}{sub2}/y?{sub1}={sub2}&n={network}&d#f={click_id}",
    "https://bücher.example/straße/{sub3}?q=ü&c={click_id}&empty={sub9}",
    "https://n.example.com/a%20b/?c={click_id}&c={click_id}&x={campaign_id}{sub1}",
]
SUBS = ["", "&sub1=a%20b&sub2=%C3%BC%26%3D", "&sub1=..&sub2=.&sub3=%2e%2e", "&sub3=%252E&sub9=%F0%9F%98%80"]


def without_click_id(location):
    return re.sub("[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f-]{21}", "ID", location)


def test_redirects_are_the_same_bytes_with_and_without_the_database(start_spooling, place):
    targets = []
    for number, template in enumerate(TEMPLATES):
        offer = place.execute("SELECT postback.add_offer('Offer', %s)", [template]).fetchone()[0]
        place.execute("INSERT INTO postback.campaigns (campaign_id, offer_id) VALUES (%s, %s)", [1000 + number, offer])
        send = place.execute(
            "SELECT postback.create_send(%s, %s, segment_id => %s, base_url => 'https://s.example.com')",
            [1000 + number, offer, None if number % 2 else 7],
        ).fetchone()[0]
        code = place.execute("SELECT code FROM postback.mint_links(%s, '{5}')", [send]).fetchone()[0]
        place.execute(
            "INSERT INTO postback.link_aliases SELECT %s, max(link_id) FROM postback.links", [f"alias-{number}"]
        )
        targets += [f"/{code}", f"/alias-{number}", f"/{code})."]
        targets += [f"/click?campaign={1000 + number}{subs}" for subs in SUBS]
        targets += [f"/click?campaign={1000 + number}&click_id=f{number}&offer={offer}{SUBS[1]}"]
    may_be_new = ["/click?campaign=99", "/click?campaign=1000&offer=999999", "/no-such-alias", "/4KdXyZ01abcd"]
    targets += ["/click", *may_be_new]
    proxy = start_spooling()
    with_database = [proxy.get(target) for target in targets]
    with away(place):
        wait_until(lambda: proxy.metric("spooled_total") > 0 or proxy.get(targets[0]).status == 0, "taps are spooled")
        without = [proxy.get(target) for target in targets]
        assert proxy.metric("spooled_total") >= len(TEMPLATES) * 8
    for target, one, other in zip(targets, with_database, without):
        # It may be newer than the routes: nobody can say that there is none.
        expected = 503 if target in may_be_new else one.status
        assert other.status == expected, target
        if one.status == 302:
            assert without_click_id(one.location) == without_click_id(other.location), target
            assert one.headers.keys() == other.headers.keys()
    wait_until_drained(proxy)
    ids = {
        match[0]
        for answer in with_database + without
        if answer.status == 302 and (match := re.search("[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f-]{21}", answer.location))
    }
    stored = {row[0] for row in place.execute("SELECT click_id FROM postback.clicks")}
    assert ids <= stored
    assert {f"f{number}" for number in range(len(TEMPLATES))} <= stored


@pytest.mark.parametrize("meanwhile", [away, contextlib.nullcontext], ids=["behind new connections", "under open ones"])
def test_database_that_must_not_be_used_any_more_is_as_good_as_away(start_spooling, place, meanwhile):
    version = "UPDATE pg_extension SET extversion = %s WHERE extname = 'postback'"
    installed = place.execute("SELECT postback.version()").fetchone()[0]
    proxy = start_spooling()
    with meanwhile(place):
        place.execute(version, ["9.9.0"])
    code = place.campaign.codes[1001]
    wait_until(lambda: 'the extension is version \\"9.9.0\\"' in proxy.log, "the reason is told")
    assert [proxy.get(f"/{code}").status for _ in range(3)] == [302] * 3
    assert proxy.admin("/readyz").text.startswith("spooling")
    assert proxy.process.poll() is None
    assert place.execute("SELECT count(*) FROM postback.clicks").fetchone()[0] == 0
    place.execute(version, [installed])
    wait_until_drained(proxy)
    wait_until(lambda: proxy.admin("/readyz").text == "ok\n", "the database is used again")
    assert place.execute("SELECT count(*) FROM postback.clicks").fetchone()[0] == 3


def test_proxy_that_starts_without_a_database_redirects_every_own_link(start_spooling, place, tmp_path):
    first = start_spooling()
    assert first.stop() == 0
    assert stat.S_IMODE((tmp_path / "spool/code_key").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "spool/spool.redb").stat().st_mode) == 0o600
    with away(place):
        proxy = start_spooling()
        assert proxy.admin("/readyz").text.startswith("spooling")
        answers = [proxy.get(f"/{code}") for code in place.campaign.codes.values()]
        assert [answer.status for answer in answers] == [302] * 3
    wait_until_drained(proxy)
    wait_until(lambda: proxy.admin("/readyz").text == "ok\n", "the database is back")
    ids = {answer.location.split("=")[1] for answer in answers}
    assert {row[0] for row in place.execute("SELECT click_id FROM postback.clicks")} == ids


def test_networks_hear_their_own_word_and_late_postbacks_count(start_spooling, place):
    place.execute("SELECT postback.add_network('Tune', 'tune')")
    place.execute("UPDATE postback.networks SET answer_body = 'success=true;' WHERE slug = 'tune'")
    proxy = start_spooling()
    before = proxy.get("/postback/tune?transaction_id=x").body
    assert proxy.get("/postback/none?transaction_id=x").status == 403
    with away(place):
        click_id = proxy.get(f"/{place.campaign.codes[1001]}").location.split("=")[1]
        target = f"/postback?click_id={click_id}&payout=12.50&transaction_id=t1&status=approved"
        answers = [proxy.get(target), proxy.post("/postback", target.split("?")[1].encode())]
        assert [(answer.status, answer.text) for answer in answers] == [(200, "OK")] * 2
        tune, none = proxy.get("/postback/tune?transaction_id=x"), proxy.get("/postback/none?transaction_id=x")
        # A network may be newer than the routes: its message is kept, and may come again.
        assert (tune.status, tune.body, none.status) == (200, before, 503)
        waited_at = place.execute("SELECT clock_timestamp()").fetchone()[0]
    wait_until_drained(proxy)
    conversion = place.execute("SELECT click_id, payout::text, received_at < %s FROM postback.conversions", [waited_at])
    assert conversion.fetchall() == [(click_id, "12.50", True)]
    verdicts = place.execute("SELECT verdict::text, count(*) FROM postback.postbacks GROUP BY 1")
    assert dict(verdicts.fetchall()) == {"accepted": 1, "duplicate": 1, "unmatched": 2, "unauthenticated": 2}


def test_taps_keep_their_time(start_spooling, place):
    proxy = start_spooling()
    with away(place):
        proxy.get("/click?campaign=456&click_id=early")
        proxy.get("/click?campaign=456")
        waited_at = place.execute("SELECT clock_timestamp()").fetchone()[0]
        wait_until(lambda: place.execute("SELECT clock_timestamp() > %s + interval '100 ms'", [waited_at]).fetchone()[0], "time passes")
    wait_until_drained(proxy)
    rows = place.execute("SELECT bool_and(clicked_at <= %s), count(*) FROM postback.clicks", [waited_at]).fetchone()
    assert rows == (True, 2)
    # The id that the proxy minted carries its address.
    assert place.execute("SELECT array_agg(click_id) FROM postback.click_locations").fetchone()[0] == ["early"]


def test_hanging_database_is_not_waited_for(start_spooling, place):
    proxy = start_spooling(spool_after_ms=200)
    code = place.campaign.codes[1001]
    with connect(place.info.dbname) as other, other.transaction():
        other.execute("LOCK TABLE postback.clicks, postback.postbacks IN ACCESS EXCLUSIVE MODE")
        assert proxy.get(f"/{code}").status == 302
        assert proxy.get("/postback?transaction_id=a").status == 200
        wait_until(lambda: proxy.metric("spool_records") == 2, "both are in the spool")
    wait_until_drained(proxy)
    assert place.execute("SELECT count(*) FROM postback.clicks").fetchone()[0] == 1
    assert place.execute("SELECT count(*) FROM postback.postbacks").fetchone()[0] == 1


def test_database_that_may_not_write_is_not_waited_for(start_spooling, place):
    proxy = start_spooling()
    name = place.info.dbname
    place.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    with connect("postgres") as server:
        server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> %s",
            [name, place.info.backend_pid],
        )
        assert proxy.get(f"/{place.campaign.codes[1001]}").status == 302
        wait_until(lambda: proxy.metric("spool_records") == 1, "the tap is in the spool")
        server.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    wait_until_drained(proxy)
    assert place.execute("SELECT count(*) FROM postback.clicks").fetchone()[0] == 1


def test_function_that_is_refused_keeps_the_other_kind_waiting_for_nothing(start_spooling, place, ingest):
    proxy = start_spooling(ingest.url, batch_limit=4)
    taps = [f"/{place.campaign.codes[1001]}"] * 3
    with away(place):
        for number in range(9):
            assert proxy.get(f"/postback?transaction_id=early-{number}").status == 200
        assert [proxy.get(tap).status for tap in taps] == [302] * 3
        ingest.may_not_call("receive_postbacks", "receive_postback")
    # Behind nine postbacks that nobody takes.
    clicks = "SELECT count(*) FROM postback.clicks"
    wait_until(lambda: place.execute(clicks).fetchone()[0] == 3, "the taps are in the database")
    assert proxy.get("/postback?transaction_id=late").status == 200
    spooled = proxy.metric("spooled_total")
    assert [proxy.get(tap).status for tap in taps] == [302] * 3
    assert (place.execute(clicks).fetchone()[0], proxy.metric("spooled_total")) == (6, spooled), "live taps do not take the way round"
    assert proxy.metric("spool_records") == 10
    ingest.may_call_all()
    wait_until_drained(proxy)
    assert place.execute("SELECT count(*), count(DISTINCT transaction_id) FROM postback.postbacks").fetchone() == (10, 10)


def test_function_that_is_missing_keeps_the_other_kind_waiting_for_nothing(start_spooling, place):
    proxy, tap = start_spooling(), f"/{place.campaign.codes[1001]}"
    clicks = "SELECT count(*) FROM postback.clicks"
    with away(place):
        for number in range(9):
            assert proxy.get(f"/postback?transaction_id=early-{number}").status == 200
        assert [proxy.get(tap).status for _ in range(3)] == [302] * 3
        place.execute("ALTER FUNCTION postback.receive_postbacks RENAME TO away")
    wait_until(lambda: place.execute(clicks).fetchone()[0] == 3, "the taps are in the database")
    assert proxy.get("/postback?transaction_id=late").status == 200
    spooled = proxy.metric("spooled_total")
    assert proxy.get(tap).status == 302
    assert (place.execute(clicks).fetchone()[0], proxy.metric("spooled_total")) == (4, spooled)
    place.execute("ALTER FUNCTION postback.away RENAME TO receive_postbacks")
    wait_until_drained(proxy)
    assert place.execute("SELECT count(*), count(DISTINCT transaction_id) FROM postback.postbacks").fetchone() == (10, 10)


def test_send_that_commits_after_a_newer_one_is_learned_soon(start_spooling, place, tmp_path):
    proxy = start_spooling()
    new_send = "SELECT postback.create_send(456, base_url => 'https://s.example.com')"
    mint = "SELECT code FROM postback.mint_links(%s, '{5}')"
    with connect(place.info.dbname) as slow, slow.transaction():
        send = slow.execute(new_send).fetchone()[0]
        code = slow.execute(mint, [send]).fetchone()[0]
        newer = place.execute(new_send).fetchone()[0]
        wait_until(lambda: str(newer) in json.loads((tmp_path / "spool/routes.json").read_text())["sends"], "the newer one is known")
    wait_until(lambda: str(send) in json.loads((tmp_path / "spool/routes.json").read_text())["sends"], "the other one, too")
    with away(place):
        assert proxy.get(f"/{code}").status == 302


def test_domains_of_links_are_told_while_the_database_is_away(start_spooling, place):
    place.execute(f"ALTER DATABASE {place.info.dbname} SET postback.base_url = 'https://Later.example.com:8443/x'")
    proxy = start_spooling()
    new_send = "SELECT postback.create_send(456, base_url => 'http://user@go.example.org')"
    place.execute(new_send)
    asked = {"/domains/s.example.com": 200, "/domains/S.Example.COM.": 200, "/domains?domain=s.example.com": 200,
        "/domains/?x=1&domain=later.example.com": 200, "/domains/go.example.org": 200, "/domains/example.com": 404,
        "/domains/s.example.com/": 404, "/domains/": 404, "/domains": 404, "/domains?domain=": 404, "/domainss.example.com": 404,
        "/domains?domain=x.s.example.com": 404}  # fmt: skip
    wait_until(lambda: proxy.admin("/domains/go.example.org").status == 200, "a new one is known")
    with away(place):
        assert {target: proxy.admin(target).status for target in asked} == asked
        assert proxy.stop() == 0
        proxy = start_spooling()
        assert {target: proxy.admin(target).status for target in asked} == asked
