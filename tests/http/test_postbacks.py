"""What networks may send and what they get to hear: everything stored is 200, and stored is everything."""

import concurrent.futures
import itertools
import json
from urllib.parse import urlencode

import pytest
from wire import exchange, request

pytestmark = pytest.mark.usefixtures("never_5xx")

fresh = (f"n{number}" for number in itertools.count(1))


@pytest.fixture
def stored_count(database):
    return lambda: database.execute("SELECT count(*) FROM postback.postbacks").fetchone()[0]


@pytest.fixture
def report(proxy, last):
    """Sends one postback with these parameters and gives its verdict; the answer must be 200 OK."""

    def send(**parameters):
        answer = proxy.get("/postback?" + urlencode(parameters))
        assert (answer.status, answer.text) == (200, "OK")
        assert answer.headers["cache-control"] == "no-store"
        return last()["verdict"]

    return send


def conversions_of(database, transaction):
    rows = database.execute(
        "SELECT status::text, payout::text FROM postback.conversions WHERE transaction_id = %s", [transaction]
    )
    return rows.fetchall()


def test_parameters_may_come_in_query_form_or_json(proxy, campaign, database, last):
    for send in (
        lambda fields: proxy.get("/postback?" + urlencode(fields)),
        lambda fields: proxy.post("/postback", urlencode(fields).encode()),
        lambda fields: proxy.post("/postback", json.dumps(fields).encode(), "application/json; charset=utf-8"),
        lambda fields: proxy.post(
            "/postback", json.dumps(fields | {"payout": 12.50}).encode(), "application/vnd.acme+json"
        ),
        lambda fields: proxy.post("/postback?" + urlencode(fields), b""),
        lambda fields: proxy.post("/postback?click_id=" + fields.pop("click_id"), urlencode(fields).encode()),
        lambda fields: proxy.post("/postback", urlencode(fields).encode(), "text/plain"),
    ):
        transaction = next(fresh)
        click_id = proxy.get(f"/{campaign.codes[1001]}").location.split("aff_click_id=")[1]
        answer = send({"click_id": click_id, "payout": "12.50", "status": "approved", "transaction_id": transaction})
        assert (answer.status, answer.text) == (200, "OK")
        assert last()["verdict"] == "accepted"
        [(status, payout)] = conversions_of(database, transaction)
        assert (status, float(payout)) == ("approved", 12.5)


def test_raw_bytes_and_source_are_kept(proxy, click_id, last):
    query = f"click_id={click_id}&payout=1.00&transaction_id={next(fresh)}&x=%41+b&&y"
    proxy.get(f"/postback?{query}")
    stored = last()
    assert (bytes(stored["query"]), stored["body"], stored["method"], stored["path"]) == (
        query.encode(),
        None,
        "GET",
        "/postback",
    )
    assert str(stored["source_ip"]) == "127.0.0.1"
    body = b'{"click_id": "unknown", "nested": [1, {"a": null}], "big": 1e400}'
    proxy.post("/postback?from=test", body, "application/json")
    stored = last()
    assert (bytes(stored["query"]), bytes(stored["body"]), stored["method"]) == (b"from=test", body, "POST")
    assert stored["content_type"] == "application/json"


def test_networks_have_names_parameters_and_answers_of_their_own(proxy, campaign, database, last):
    database.execute(
        "SELECT postback.add_network('Acme Tune', 'tune'), "
        "postback.add_network('Ever', 'everflow', answer_body => 'success=1')"
    )
    for path, query, heard in (
        ("acme-tune", "aff_click_id={}&payout=2.00&offer_id=789&transaction_id=t-1&goal_id=1", "OK"),
        ("ever", "sub1={}&payout_amount=3.00&transaction_id=e-1&event_id=0&currency=USD", "success=1"),
    ):
        click_id = proxy.get(f"/{campaign.codes[1002]}").location.split("aff_click_id=")[1]
        for verdict in ("accepted", "duplicate"):
            answer = proxy.get(f"/postback/{path}?{query.format(click_id)}")
            assert (answer.status, answer.text) == (200, heard)
            assert last()["verdict"] == verdict
            assert last()["click_id"] == click_id


def test_status_history_moves_the_money_there_and_back(report, click_id, database):
    transaction = next(fresh)
    says = {"click_id": click_id, "payout": "12.50", "transaction_id": transaction}
    assert report(status="pending", **says) == "accepted"
    assert report(status="approved", **says) == "updated"
    assert report(status="approved", **says) == "duplicate"
    assert report(status="Chargeback", **says) == "updated"
    assert conversions_of(database, transaction) == [("reversed", "0")]
    deltas = database.execute(
        "SELECT e.status::text, e.payout_delta::text FROM postback.conversion_events AS e "
        "JOIN postback.conversions AS c USING (conversion_id, bucket) WHERE c.transaction_id = %s ORDER BY e.seq",
        [transaction],
    ).fetchall()
    assert deltas == [("pending", "12.50"), ("approved", "0.00"), ("reversed", "-12.50")]


def test_every_verdict_that_is_stored_is_answered_200(report, proxy, campaign, click_id, database):
    # The helper `report` has checked the 200 each time.
    says = {"click_id": click_id, "payout": "5.00", "transaction_id": next(fresh)}
    assert report(status="approved", timestamp="2026-03-02T10:00:00Z", **says) == "accepted"
    assert report(status="pending", timestamp="2026-03-01T10:00:00Z", **says) == "stale"
    assert report(status="banana", **says) == "unmapped_status"
    assert report(status="approved", currency="EUR", **says) == "conflict"
    other = proxy.get(f"/{campaign.codes[1002]}").location.split("aff_click_id=")[1]
    assert report(status="approved", **(says | {"click_id": other})) == "conflict"
    transaction = next(fresh)
    assert report(click_id=click_id, transaction_id=transaction, status="rejected") == "accepted"
    assert report(click_id=click_id, transaction_id=transaction, status="reversed") == "illegal_transition"
    assert report(click_id="never-seen", transaction_id=next(fresh)) == "unmatched"
    assert report(transaction_id=next(fresh)) == "unmatched"
    assert report(click_id="x" * 65, transaction_id=next(fresh)) == "unmatched"
    assert report(click_id=click_id[:-1], transaction_id=next(fresh)) == "unmatched"
    assert report(click_id="{aff_click_id}", transaction_id=next(fresh)) == "unmatched"
    database.execute(
        "INSERT INTO postback.clicks (click_id, campaign_id, offer_id, subscriber_id, clicked_at) "
        "VALUES ('last-month', 456, 789, 1001, clock_timestamp() - interval '8 days')"
    )
    assert report(click_id="last-month", transaction_id=next(fresh)) == "outside_window"


@pytest.mark.parametrize("payout", ["12.50", "12.5", "12.505", "0", "0.01", "007", "999999999999999"])
def test_plain_decimal_is_an_amount_exactly(report, click_id, database, payout):
    transaction = next(fresh)
    assert report(click_id=click_id, payout=payout, transaction_id=transaction) == "accepted"
    [(_, stored)] = conversions_of(database, transaction)
    assert stored == (payout if payout != "007" else "7")


@pytest.mark.parametrize(
    "payout",
    [
        "1e3",
        "1,250.00",
        "12,50",
        " 12",
        "12 ",
        "-5",
        "+5",
        "",
        "NaN",
        "Infinity",
        "-Infinity",
        "0x10",
        "{payout}",
        "##PAYOUT##",
        "9" * 400,
        "9" * 16,
        "\u0661\u0662",
        "\uff11\uff12",
        ".5",
        "5.",
        ".",
        "1.2.3",
        "$5",
        "5 USD",
        "1_000",
        "12\u00a0",
        "0" * 400,
    ],
)
def test_bad_payout_is_kept_and_pays_nothing(proxy, click_id, database, last, payout):
    transaction = next(fresh)
    answer = proxy.get(
        "/postback?" + urlencode({"click_id": click_id, "payout": payout, "transaction_id": transaction})
    )
    assert (answer.status, answer.text) == (200, "OK")
    stored = last()
    assert (stored["verdict"], stored["transaction_id"], stored["payout"]) == ("malformed", transaction, None)
    assert "amount" in stored["reason"]
    assert conversions_of(database, transaction) == []


def test_currency_is_upper_cased_or_refused(report, click_id):
    says = {"click_id": click_id, "payout": "12"}
    assert report(currency="usd", transaction_id=next(fresh), **says) == "accepted"
    for bad in ("XXX", "US", "dollars", "U$D"):
        assert report(currency=bad, transaction_id=next(fresh), **says) == "malformed"


def test_message_without_any_id_is_400_and_stored(proxy, stored_count, last):
    for query in (
        "",
        "?",
        "?payout=12.50",
        "?click_id=&transaction_id=",
        "?click_id={click_id}&transaction_id={transaction_id}",
        "?Click_Id=x",
        "?;click_id=a",
    ):
        before = stored_count()
        answer = exchange(proxy, request(f"/postback{query}"))
        assert answer.status == 400, query
        assert answer.headers["cache-control"] == "no-store"
        assert stored_count() == before + 1
        assert last()["verdict"] == "malformed"


@pytest.mark.parametrize("bad", ["%00", "a%00b", "%zz", "%", "%4", "%ff", "%c0%af", "%ed%a0%80"])
def test_query_that_cannot_be_read_is_400_and_stored(proxy, stored_count, last, bad):
    for send in (
        lambda: exchange(proxy, request(f"/postback?click_id=a&transaction_id=b&x={bad}")),
        lambda: proxy.post("/postback", f"click_id=a&transaction_id=b&x={bad}".encode()),
    ):
        before = stored_count()
        assert send().status == 400
        stored = last()
        assert (stored_count(), stored["verdict"], stored["click_id"]) == (before + 1, "malformed", None)
        assert "cannot be read" in stored["reason"]
        assert bad.encode() in bytes(stored["query"] or stored["body"])


@pytest.mark.parametrize(
    "body",
    [b"[1]", b"{", b'"click_id"', b"null", b'{"click_id": "a\\u0000"}', b"\xff\xfe{}", b"{" * 5000, b'{"a":' * 9000],
)
def test_json_that_cannot_be_read_is_400_and_stored(proxy, stored_count, last, body):
    before = stored_count()
    assert proxy.post("/postback", body, "application/json").status == 400
    assert (stored_count(), bytes(last()["body"])) == (before + 1, body)


def test_more_parameters_than_can_be_meant_are_400_and_stored(proxy, stored_count):
    before = stored_count()
    query = "&".join(f"p{number}=x" for number in range(257))
    assert proxy.get(f"/postback?{query}&click_id=a").status == 400
    assert stored_count() == before + 1


def test_parameter_given_twice_with_two_values_is_not_guessed(report, proxy, click_id, last):
    answer = proxy.get(f"/postback?click_id={click_id}&payout=1.00&payout=100.00&transaction_id={next(fresh)}")
    assert (answer.status, last()["verdict"]) == (200, "malformed")


def test_values_of_any_characters_are_kept_as_text(report, click_id, database):
    for transaction in (
        "\u4f60\u597d",
        "a&b=c",
        "x'; DROP TABLE postback.clicks; --",
        '{"a": 1}',
        "a,b{c}",
        "\\N",
        "%s$1",
    ):
        assert report(click_id=click_id, payout="1.00", transaction_id=transaction) == "accepted"
        assert len(conversions_of(database, transaction)) == 1


def test_body_up_to_the_limit_is_taken_and_one_byte_more_is_413(proxy, stored_count):
    body = b"click_id=unknown&x="
    body += b"y" * (64 * 1024 - len(body))
    assert proxy.post("/postback", body).status == 200
    before = stored_count()
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body) + 1, body + b"y")
    for data in (
        request("/postback", "POST", body=body + b"y"),
        request("/postback", "POST", headers=[("Content-Length", "999999999")]),
        request("/postback", "POST", headers=[("Transfer-Encoding", "chunked")]) + chunked,
    ):
        answer = exchange(proxy, data)
        assert (answer.status, answer.headers["cache-control"], answer.headers["connection"]) == (
            413,
            "no-store",
            "close",
        )
    assert stored_count() == before


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "get", "post"])
@pytest.mark.parametrize("path", ["/postback", "/postback/default", "/postback/default/token"])
def test_other_methods_are_405_and_stored_nowhere(proxy, stored_count, method, path):
    before = stored_count()
    answer = exchange(proxy, request(f"{path}?click_id=a", method), method)
    assert (answer.status, answer.headers["allow"], answer.headers["cache-control"]) == (405, "GET, POST", "no-store")
    assert stored_count() == before


def test_same_postback_twice_is_one_conversion(report, click_id, database):
    transaction = next(fresh)
    says = {"click_id": click_id, "payout": "12.50", "status": "approved", "transaction_id": transaction}
    assert [report(**says) for _ in range(3)] == ["accepted", "duplicate", "duplicate"]
    assert conversions_of(database, transaction) == [("approved", "12.50")]


def test_fifty_identical_postbacks_at_once_are_one_conversion(proxy, click_id, database):
    transaction = next(fresh)
    target = f"/postback?click_id={click_id}&payout=12.50&status=approved&transaction_id={transaction}"
    with concurrent.futures.ThreadPoolExecutor(50) as clients:
        answers = list(clients.map(lambda _: proxy.get(target), range(50)))
    assert {(answer.status, answer.text) for answer in answers} == {(200, "OK")}
    assert conversions_of(database, transaction) == [("approved", "12.50")]
    verdicts = database.execute(
        "SELECT verdict::text, count(*) FROM postback.postbacks WHERE transaction_id = %s GROUP BY verdict",
        [transaction],
    )
    assert dict(verdicts.fetchall()) == {"accepted": 1, "duplicate": 49}


def test_postback_before_its_click_is_matched_when_the_click_comes(proxy, report, campaign, database):
    transaction = next(fresh)
    assert report(click_id="early-bird", payout="4.00", transaction_id=transaction) == "unmatched"
    assert proxy.get("/click?campaign=456&click_id=early-bird").status == 302
    database.execute("SELECT postback.maintain()")
    assert conversions_of(database, transaction) == [("approved", "4.00")]


@pytest.mark.parametrize(
    "path",
    [
        "/postback//",
        "/postback//default",
        "/postback/default//",
        "/postback/a/b/c",
        "/postback/%2e%2e",
        "/postback/..",
        "/Postback",
        "/postback/" + "a" * 65,
        "/postback/a%20b",
    ],
)
def test_paths_beside_the_three_forms_get_the_uniform_404(proxy, stored_count, path):
    before = stored_count()
    answer = exchange(proxy, request(path + "?click_id=a"))
    assert (answer.status, answer.text) == (404, "not found\n")
    assert stored_count() == before
