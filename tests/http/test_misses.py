"""Guessing codes is slowed down, for the one who guesses; people with a link that exists are never turned away."""

import pytest
from support import Campaign, connect, database_url, wait_until

LIMIT = 20


@pytest.fixture
def guessed(databases, start_proxy, tmp_path):
    """A proxy that knows the routes, with a campaign and a guesser who has used up what may be missed."""
    with connect(databases.create()) as database:
        campaign = Campaign(database)
        database.execute("INSERT INTO postback.link_aliases SELECT 'sale', min(link_id) FROM postback.links")
        proxy = start_proxy(
            database_url(database), spool=tmp_path / "spool", misses_per_minute=LIMIT, trusted_proxies="127.0.0.1"
        )
        wait_until((tmp_path / "spool/routes.json").exists, "the routes are on disk")

        def tap(code, client="203.0.113.9"):
            return proxy.get(f"/{code}", headers={"X-Forwarded-For": client})

        tap.campaign, tap.database = campaign, database
        tap.guesses = [tap(f"{number:011}").status for number in range(LIMIT + 30)]
        yield tap


def test_guesses_beyond_the_limit_are_refused_and_links_are_not(guessed):
    assert guessed.guesses[:LIMIT] == [404] * LIMIT
    # Shares of the limit come back while the guesses are made.
    assert guessed.guesses[LIMIT:].count(429) >= 20
    refused = guessed("4KdXyZ01abc")
    assert (refused.status, refused.headers["retry-after"], refused.headers["cache-control"]) == (429, "60", "no-store")
    codes = [*guessed.campaign.codes.values(), "sale"]
    assert [guessed(code).status for code in codes for _ in range(50)] == [302] * 50 * len(codes)


def test_link_of_a_send_that_is_newer_than_the_routes_is_not_refused(guessed):
    send = guessed.database.execute("SELECT postback.create_send(456, base_url => 'https://s.example.com')").fetchone()[0]
    code = guessed.database.execute("SELECT code FROM postback.mint_links(%s, '{7}')", [send]).fetchone()[0]
    assert guessed(code).status == 302
    guessed.database.execute("INSERT INTO postback.link_aliases SELECT 'brand-new', max(link_id) FROM postback.links")
    assert guessed("brand-new").status == 302


def test_others_may_miss(guessed):
    assert guessed("00000000000", client="203.0.113.10").status == 404


def test_many_phones_behind_one_address_are_no_guesser(guessed):
    assert {guessed(code, client="198.51.100.1").status for code in guessed.campaign.codes.values() for _ in range(200)} == {302}
