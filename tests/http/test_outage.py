"""What clients and networks see while the database is away, and that it is all in the database afterwards."""

import contextlib
import json
import pathlib
import re
import shutil
import stat

import pytest
from support import Campaign, Proxy, connect, database_url, wait_until

TEMPLATES = [
    "https://n.example.com/offer/789?aff_click_id={click_id}",
    "https://n.example.com/{campaign_id}/{segment_id}/{variant_id}/{offer_id}/{send_id}?c={click_id}",
    "HTTP://N.example.COM:8443/x/{sub1}/{click_id}{sub2}/y?{sub1}={sub2}&n={network}&d#f={click_id}",
    "https://bücher.example/straße/{sub3}?q=ü&c={click_id}&empty={sub9}",
    "https://n.example.com/a%20b/?c={click_id}&c={click_id}&x={campaign_id}{sub1}",
]
SUBS = ["", "&sub1=a%20b&sub2=%C3%BC%26%3D", "&sub1=..&sub2=.&sub3=%2e%2e", "&sub3=%252E&sub9=%F0%9F%98%80"]


@contextlib.contextmanager
def away(database):
    """Nobody can connect to the database, and those who could are thrown out."""
    name = database.info.dbname
    with connect("postgres") as server:
        server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = %s AND application_name = 'postback-proxy'",
            [name],
        )
        try:
            yield
        finally:
            server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


@pytest.fixture
def place(databases):
    """A database with a campaign, for one test."""
    with connect(databases.create()) as connection:
        connection.campaign = Campaign(connection)
        yield connection


@pytest.fixture
def start_spooling(start_proxy, place, tmp_path):
    """Starts a proxy with a spool that knows the routes."""

    def start(url=None, **settings):
        proxy = start_proxy(url or database_url(place), spool=tmp_path / "spool", **settings)
        wait_until((tmp_path / "spool/routes.json").exists, "the routes are on disk")
        return proxy

    return start


class Ingest:
    """A role that may do what a proxy does, and how it connects."""

    def __init__(self, place):
        self.place = place
        self.url = re.sub("user=[^&]*", "user=outage_ingest", database_url(place))
        place.execute("DROP ROLE IF EXISTS outage_ingest")
        place.execute("CREATE ROLE outage_ingest LOGIN")
        self.may_call_all()

    def may_call_all(self):
        self.place.execute("SELECT postback.grant_role('outage_ingest', 'ingest')")

    def may_not_call(self, *functions):
        for (function,) in self.place.execute(
            "SELECT oid::regprocedure::text FROM pg_proc WHERE proname = ANY (%s)", [list(functions)]
        ).fetchall():
            self.place.execute(f"REVOKE EXECUTE ON FUNCTION {function} FROM outage_ingest")


@pytest.fixture
def ingest(place):
    yield Ingest(place)
    place.execute("DROP OWNED BY outage_ingest")
    place.execute("DROP ROLE outage_ingest")


def wait_until_drained(proxy):
    wait_until(lambda: proxy.metric("spool_records") == 0, "the spool is empty")


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


def test_spool_that_is_deleted_under_the_proxy_is_made_anew(start_spooling, place, tmp_path):
    spool, tap = tmp_path / "spool", f"/{place.campaign.codes[1001]}"

    def delete():
        # All at once: the proxy may be making files in it.
        spool.rename(tmp_path / "gone")
        shutil.rmtree(tmp_path / "gone")

    proxy = start_spooling()
    delete()
    wait_until(lambda: {path.name for path in spool.glob("*")} >= {"routes.json", "code_key"}, "both are on disk again")
    with away(place):
        wait_until(lambda: proxy.get(tap).status == 302 and proxy.metric("spooled_total") > 0, "taps go into the spool")
        delete()
        wait_until((spool / "spool.redb").exists, "what it held is on disk again, without another request")
        delete()
        assert [proxy.get(tap).status for _ in range(5)] == [302] * 5
        taps = proxy.metric("spooled_total")
        # It dies, and the next one has nothing but the disk.
        proxy.process.kill()
        proxy.process.wait()
    proxy = start_spooling()
    wait_until_drained(proxy)
    assert place.execute("SELECT count(*) FROM postback.clicks").fetchone()[0] >= taps


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


def test_refused_requests_become_dead_letters_and_block_nobody(start_spooling, place):
    proxy = start_spooling()
    place.execute("ALTER TABLE postback.clicks ADD CONSTRAINT poison CHECK (user_agent NOT LIKE '%poison%')")
    code = place.campaign.codes[1001]
    # Live, and out of the spool.
    assert proxy.get(f"/{code}", headers={"User-Agent": "poison"}).status == 302
    with away(place):
        agents = ["one", "poison", "two", "poison", "three"]
        answers = [proxy.get(f"/{code}", headers={"User-Agent": agent}) for agent in agents]
        assert {answer.status for answer in answers} == {302}
    wait_until_drained(proxy)
    letters = place.execute("SELECT request_id, request ->> 'user_agent', failure FROM postback.dead_letters").fetchall()
    assert [letter[1:] for letter in letters] == [("poison", "23514")] * 3
    stored = {row[0] for row in place.execute("SELECT user_agent FROM postback.clicks")}
    assert stored == {"one", "two", "three"}
    assert proxy.metric("dead_letters_total") == 3


def test_taps_on_links_that_the_database_does_not_have_are_kept(start_spooling, place):
    proxy = start_spooling()
    targets = [f"/{place.campaign.codes[1001]}", f"/{place.campaign.codes[1002]}", "/postback?transaction_id=kept"]
    with away(place):
        assert [proxy.get(target).status for target in targets] == [302, 302, 200]
        # As in an older copy of the database that is restored.
        place.execute("DELETE FROM postback.links WHERE subscriber_id = 1002")
    wait_until_drained(proxy)
    letters = place.execute("SELECT kind, failure, request ->> 'code' FROM postback.dead_letters").fetchall()
    assert letters == [("click", "no such link", place.campaign.codes[1002])]
    assert place.execute("SELECT count(*) FROM postback.clicks WHERE subscriber_id IS NOT NULL").fetchone()[0] == 1
    assert place.execute("SELECT count(*) FROM postback.postbacks").fetchone()[0] == 1


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


def test_record_that_never_ends_in_time_keeps_nobody(start_spooling, place):
    place.execute(
        "CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(60); RETURN NEW; END $$;"
        "CREATE TRIGGER linger BEFORE INSERT ON postback.clicks FOR EACH ROW WHEN (NEW.user_agent = 'slow') EXECUTE FUNCTION linger()"
    )
    proxy, tap, clicks = start_spooling(), f"/{place.campaign.codes[1001]}", "SELECT count(*) FROM postback.clicks"
    with away(place):
        for agent in ("slow", "one", "two"):
            assert proxy.get(tap, headers={"User-Agent": agent}).status == 302
        assert proxy.get("/postback?transaction_id=a").status == 200
    wait_until(lambda: proxy.metric("spool_records") == 1, "the others are in the database", seconds=60)
    assert place.execute(clicks).fetchone()[0] == 2
    assert place.execute("SELECT count(*) FROM postback.postbacks").fetchone()[0] == 1
    wait_until(lambda: proxy.admin("/readyz").text == "ok\n", "live taps go to the database")
    spooled = proxy.metric("spooled_total")
    assert proxy.get(tap).status == 302
    assert (place.execute(clicks).fetchone()[0], proxy.metric("spooled_total")) == (3, spooled)
    place.execute("DROP TRIGGER linger ON postback.clicks")
    wait_until(lambda: proxy.metric("spool_records") == 0, "the one that stayed is asked about again", seconds=60)
    assert place.execute(clicks).fetchone()[0] == 4


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


def test_internal_error_that_passes_buries_nothing(start_spooling, place):
    proxy = start_spooling()
    with away(place):
        assert [proxy.get(f"/{code}").status for code in place.campaign.codes.values()] == [302] * 3
        place.execute("""
            CREATE SEQUENCE public.tries;
            CREATE FUNCTION public.fail_twice() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
                IF nextval('public.tries') <= 2 THEN RAISE 'planted' USING ERRCODE = 'XX000'; END IF;
                RETURN NEW;
            END $$;
            CREATE TRIGGER fail_twice BEFORE INSERT ON postback.clicks FOR EACH ROW EXECUTE FUNCTION public.fail_twice();
        """)
    wait_until_drained(proxy)
    counts = "SELECT (SELECT count(*) FROM postback.clicks), (SELECT count(*) FROM postback.dead_letters), last_value FROM public.tries"
    assert place.execute(counts).fetchone() == (3, 0, 5)


def test_full_spool_keeps_taps_from_no_database(start_spooling, place, ingest):
    ingest.may_not_call("receive_postbacks")
    proxy = start_spooling(ingest.url, spool_max_bytes=1 << 20)
    body, tap = b"transaction_id=a&x=" + b"y" * 60_000, f"/{place.campaign.codes[1001]}"
    wait_until(lambda: proxy.post("/postback", body).status == 503, "postbacks fill the spool")
    with connect(place.info.dbname) as other, other.transaction():
        other.execute("LOCK TABLE postback.clicks IN ACCESS EXCLUSIVE MODE")
        while proxy.metric("clicks_unrecorded_total") == 0:
            assert proxy.get(tap, headers={"User-Agent": "z" * 1000}).status == 302
    wait_until(lambda: proxy.get(tap).status == 302 and place.execute("SELECT count(*) FROM postback.clicks").fetchone()[0] > 0, "taps arrive")
    assert proxy.metric("spool_records") > 0


def test_full_spool_redirects_taps_and_turns_postbacks_away(start_spooling, place):
    proxy = start_spooling(spool_max_bytes=1 << 20)
    code = place.campaign.codes[1001]
    body = b"transaction_id=a&x=" + b"y" * 60_000
    with away(place):
        statuses = [proxy.post("/postback", body).status for _ in range(25)]
        assert set(statuses) == {200, 503} and statuses == sorted(statuses)
        refused = proxy.post("/postback", body)
        assert (refused.status, refused.headers["retry-after"]) == (503, "1")
        # A postback comes again, a tap does not: an eighth of the room is for taps.
        spooled = [proxy.get(f"/{code}", headers={"User-Agent": "z" * 1000}).status for _ in range(50)]
        assert (set(spooled), proxy.metric("clicks_unrecorded_total")) == ({302}, 0)
        assert proxy.admin("/readyz").text == "spooling: the database does not take requests\n"
        while proxy.metric("clicks_unrecorded_total") == 0:
            assert proxy.get(f"/{code}", headers={"User-Agent": "z" * 1000}).status == 302
        assert proxy.admin("/readyz").status == 503
        assert "taps are redirected and not recorded" in proxy.log
    wait_until_drained(proxy)
    count = place.execute("SELECT count(*) FROM postback.postbacks").fetchone()[0]
    assert count == statuses.count(200)
    # Without another request there is room again, and that is what counts.
    with away(place):
        wait_until(lambda: proxy.admin("/readyz").text.startswith("spooling"), "the probe sees the outage")
    assert "taps are redirected and not recorded" in proxy.log


def test_second_proxy_cannot_have_the_same_spool(start_spooling, place, tmp_path):
    start_spooling()
    second = Proxy(database_url(place), spool=tmp_path / "spool")
    assert second.process.wait(timeout=15) == 1
    assert "give each proxy a POSTBACK_SPOOL of its own" in second.log


def test_damaged_records_are_told_and_the_others_drained(start_spooling, place, tmp_path):
    proxy = start_spooling()
    agents = [f"agent-{number:04}" for number in range(50)]
    with away(place):
        for agent in agents:
            assert proxy.get(f"/{place.campaign.codes[1001]}", headers={"User-Agent": agent}).status == 302
        # Closed properly, so that the file is not checked as a whole when it is opened.
        assert proxy.stop() == 0
        file = pathlib.Path(tmp_path / "spool/spool.redb")
        # The record lies in several versions of its page.
        file.write_bytes(file.read_bytes().replace(b"agent-0007", b"agent-9999"))
    proxy = start_spooling()
    wait_until(lambda: "spool" in proxy.log and proxy.metric("spool_records") == 0, "the spool is empty")
    stored = {row[0] for row in place.execute("SELECT user_agent FROM postback.clicks")}
    assert stored == set(agents) - {"agent-0007"}
    assert proxy.metric("spool_unreadable_total") == 1
    assert "cannot be read" in proxy.log


def test_no_spool_is_said_loudly(start_proxy, place):
    assert "POSTBACK_SPOOL is not set" in start_proxy(database_url(place)).log
