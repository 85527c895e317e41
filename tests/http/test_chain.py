"""A tap becomes money: the whole chain over a real socket."""

from support import database_url


def click_id_of(answer):
    prefix, click_id = answer.location.split("aff_click_id=")
    assert prefix == "https://network.example.com/offer/789?"
    return click_id


def test_tap_and_postback_become_revenue(proxy, database, campaign):
    tap = proxy.get(f"/{campaign.codes[1001]}")
    assert tap.status == 302
    assert tap.headers["cache-control"] == "no-store"
    click_id = click_id_of(tap)

    postback = proxy.get(
        f"/postback?click_id={click_id}&payout=12.50&status=approved&offer_id=789&transaction_id=txn_001"
    )
    assert (postback.status, postback.text) == (200, "OK")

    row = database.execute(
        "SELECT subscriber_id, campaign_id, segment_id, variant_id, offer_id, status::text, payout "
        "FROM postback.conversions WHERE transaction_id = 'txn_001'"
    ).fetchone()
    assert row[:6] == (1001, 456, 101, 1, 789, "approved")
    assert str(row[6]) == "12.50"


def test_unknown_code_is_not_found(proxy):
    answer = proxy.get("/AAAAAAAAAAA")
    assert answer.status == 404
    assert answer.headers["cache-control"] == "no-store"


def test_sigterm_ends_the_proxy_with_zero(start_proxy, database):
    assert start_proxy(database_url(database)).stop() == 0
