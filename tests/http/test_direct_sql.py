"""Clicks written past the proxy, by plain INSERT and COPY from any language, count like the others."""

import datetime

import pytest

NOW = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)


@pytest.fixture
def performance(database):
    def of(campaign_id):
        row = database.execute(
            "SELECT clicks, human_clicks, unique_clicks, conversions, revenue::text "
            "FROM postback.performance(by => '{campaign}') WHERE campaign_id = %s",
            [campaign_id],
        ).fetchone()
        return row

    return of


def test_plain_insert_counts(database, performance):
    database.execute(
        "INSERT INTO postback.clicks (campaign_id, subscriber_id, clicked_at) "
        "VALUES (7001, 1, %s), (7001, 1, %s), (7001, 2, %s)",
        [NOW] * 3,
    )
    assert performance(7001)[:3] == (3, 3, 2)
    rows = database.execute(
        "SELECT click_id, bucket = postback.click_id_bucket(click_id), clicked_at = postback.click_id_time(click_id), "
        "visitor::text FROM postback.clicks WHERE campaign_id = 7001"
    ).fetchall()
    assert len({row[0] for row in rows}) == 3
    assert {row[1:] for row in rows} == {(True, True, "human")}


def test_insert_with_user_agents_is_classified(database, performance):
    with database.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO postback.clicks (campaign_id, subscriber_id, clicked_at, user_agent, method) "
            "VALUES (7002, 1, %s, %s, %s)",
            [(NOW, "Twitterbot/1.0", "GET"), (NOW, "", "GET"), (NOW, "curl/8", "HEAD")],
        )
    visitors = database.execute("SELECT visitor::text FROM postback.clicks WHERE campaign_id = 7002").fetchall()
    assert sorted(visitor for (visitor,) in visitors) == ["head", "preview", "suspect"]
    assert performance(7002)[:3] == (2, 0, 0)


def test_copy_counts(database, performance):
    with (
        database.cursor() as cursor,
        cursor.copy(
            "COPY postback.clicks (campaign_id, subscriber_id, clicked_at, ip_address, user_agent) FROM STDIN"
        ) as copy,
    ):
        for number in range(1000):
            at = NOW - datetime.timedelta(hours=number % 48)
            copy.write_row(
                (
                    7003,
                    number % 100,
                    at,
                    "203.0.113.9",
                    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/120 Safari/537.36",
                )
            )
    assert performance(7003)[:3] == (1000, 1000, 100)


def test_copy_of_foreign_ids_twice_is_one_click_each(database, performance):
    for _ in range(2):
        with (
            database.cursor() as cursor,
            cursor.copy("COPY postback.clicks (click_id, campaign_id, clicked_at) FROM STDIN") as copy,
        ):
            for number in range(50):
                copy.write_row((f"copied-{number}", 7004, NOW))
    assert performance(7004)[0] == 50
    assert database.execute(
        "SELECT min(hits), max(hits) FROM postback.click_locations WHERE click_id LIKE 'copied-%%'"
    ).fetchone() == (2, 2)


def test_directly_written_click_is_paid_by_a_postback(proxy, database, campaign, performance):
    click_id = database.execute(
        "INSERT INTO postback.clicks (campaign_id, subscriber_id, offer_id, clicked_at) VALUES (7005, 1, 789, %s) "
        "RETURNING click_id",
        [NOW],
    ).fetchone()[0]
    database.execute(
        "INSERT INTO postback.clicks (click_id, campaign_id, offer_id, clicked_at) VALUES ('by-hand', 7005, 789, %s)",
        [NOW],
    )
    for number, given in enumerate((click_id, "by-hand")):
        assert proxy.get(f"/postback?click_id={given}&payout=12.50&transaction_id=direct_{number}").text == "OK"
    assert performance(7005) == (2, 2, 2, 2, "25.00")


def test_old_and_future_clicks_find_a_partition(database, performance):
    days = [NOW - datetime.timedelta(days=days) for days in (400, 31, 1)] + [NOW + datetime.timedelta(days=40)]
    for at in days:
        database.execute(
            "INSERT INTO postback.clicks (campaign_id, subscriber_id, clicked_at) VALUES (7006, 1, %s)", [at]
        )
    database.execute("SELECT postback.maintain()")
    assert performance(7006)[0] == 4
