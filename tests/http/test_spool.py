"""A spool that is full, deleted, damaged or taken, and records in it that the database does not take."""

import pathlib
import shutil

from outage import away, wait_until_drained
from support import Proxy, connect, database_url, wait_until


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
