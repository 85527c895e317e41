"""Who may post: every configured check is enforced, what fails it is stored, answered 403, and changes nothing."""

import hashlib
import hmac
import string

import pytest
from wire import exchange, request

pytestmark = pytest.mark.usefixtures("never_5xx")

SECRET = "a secret of forty-two well chosen letters!"
TOKEN = "Tok3n-of-the-path.~"


def signature(query, secret=SECRET):
    return hmac.new(secret.encode(), query.encode(), hashlib.sha256).hexdigest()


@pytest.fixture(scope="module")
def networks(database, campaign):
    """One network per kind of check, and one with two of them."""
    for name, kinds in {
        "signed": ["hmac"],
        "tokened": ["token"],
        "pathed": ["path_token"],
        "both": ["hmac", "token"],
    }.items():
        database.execute("SELECT postback.add_network(%s)", [name])
        for kind in kinds:
            secret = SECRET if kind == "hmac" else TOKEN
            database.execute("SELECT postback.add_network_secret(%s, %s, %s)", [name, kind, secret])
    database.execute("SELECT postback.add_network('sorted', signature_scheme => 'sorted1')")
    database.execute("SELECT postback.add_network_secret('sorted', 'hmac', %s)", [SECRET])
    database.execute("SELECT postback.add_network('elsewhere', allowed_cidrs => ARRAY['203.0.113.0/24']::cidr[])")
    database.execute("SELECT postback.add_network('nobody', allowed_cidrs => '{}')")
    database.execute("SELECT postback.add_network('here', allowed_cidrs => ARRAY['127.0.0.0/8', '::1/128']::cidr[])")


@pytest.fixture
def conversions(database):
    return lambda: database.execute("SELECT count(*) FROM postback.conversions").fetchone()[0]


@pytest.fixture
def refused(database, conversions, last):
    """Checks that an exchange was answered 403, stored, and moved nothing; gives what was stored."""

    def check(send):
        stored = "SELECT count(*) FROM postback.postbacks"
        before = database.execute(stored).fetchone()[0], conversions()
        answer = send()
        assert (answer.status, answer.body, answer.headers["cache-control"]) == (403, b"forbidden", "no-store")
        assert (database.execute(stored).fetchone()[0], conversions()) == (before[0] + 1, before[1])
        message = last()
        assert message["verdict"] == "unauthenticated"
        return message

    return check


def test_signed_postback_counts(proxy, networks, click_id, last):
    query = f"click_id={click_id}&payout=12.50&status=approved&transaction_id=s1"
    for sig in (signature(query), signature(query).upper()):
        assert exchange(proxy, request(f"/postback/signed?{query}&sig={sig}")).status == 200
    assert last()["checks"] == ["hmac:ok"]
    form = f"{query}&sub1=form".replace("s1&", "s1-form&")
    assert proxy.post("/postback/signed", f"{form}&sig={signature(form)}".encode()).status == 200


def test_one_changed_character_in_a_signed_parameter_is_refused(proxy, networks, click_id, refused):
    query = f"click_id={click_id}&payout=12.50&status=approved&transaction_id=changed"
    sig = signature(query)
    signed = f"{query}&sig={sig}"
    for at in range(len(query)):
        if query[at] in "&=":
            continue
        letters = string.digits if query[at].isdigit() else string.ascii_lowercase
        other = letters[(letters.find(query[at]) + 1) % len(letters)]
        refused(lambda: exchange(proxy, request(f"/postback/signed?{query[:at]}{other}{query[at + 1 :]}&sig={sig}")))
    message = refused(
        lambda: exchange(proxy, request("/postback/signed?" + signed[:-1] + ("0" if sig[-1] != "0" else "1")))
    )
    assert message["checks"] == ["hmac:refused"]


@pytest.mark.parametrize(
    "change",
    [
        lambda query, sig: query,
        lambda query, sig: f"{query}&sig=",
        lambda query, sig: f"{query}&sig={sig[:32]}",
        lambda query, sig: f"{query}&sig={sig}00",
        lambda query, sig: f"{query}&sig={sig}&payout=100.00",
        lambda query, sig: f"sig={sig}&{query}",
        lambda query, sig: f"{query}&sig={sig}&sig={sig}",
        lambda query, sig: f"payout=100.00&{query}&sig={sig}",
        lambda query, sig: f"{query}&SIG={sig}",
        lambda query, sig: f"{query}&sig={signature(query, SECRET[:-1] + '?')}",
        lambda query, sig: f"{query}&sig={signature(query, '')}",
        lambda query, sig: f"{query.replace('&', '&&', 1)}&sig={sig}",
        lambda query, sig: f"{query.replace('=', '%3D', 1)}&sig={sig}",
        lambda query, sig: f"{query.replace('click_id', '%63lick_id')}&sig={sig}",
        lambda query, sig: "&".join(reversed(query.split("&"))) + f"&sig={sig}",
    ],
)
def test_signature_that_is_not_exactly_right_is_refused(proxy, networks, click_id, refused, change):
    query = f"click_id={click_id}&payout=12.50&transaction_id=forged"
    refused(lambda: exchange(proxy, request("/postback/signed?" + change(query, signature(query)))))


def test_body_beside_a_signed_query_is_refused(proxy, networks, click_id, refused):
    query = f"click_id={click_id}&transaction_id=body"
    refused(lambda: proxy.post(f"/postback/signed?{query}&sig={signature(query)}", b"payout=1000.00"))


def test_sorted_parameters_verify_in_any_order(proxy, networks, click_id, refused):
    canonical = f"click_id={click_id}&payout=1.00&sub1=a%20b~%2F&transaction_id=sorted"
    sig = signature(canonical)
    for query in (
        f"transaction_id=sorted&sig={sig}&payout=1.00&sub1=a+b%7e%2f&click_id={click_id}",
        f"{canonical}&sig={sig}",
    ):
        assert exchange(proxy, request(f"/postback/sorted?{query}")).status == 200
    for query in (
        f"{canonical}&sig={sig}&extra=1",
        f"{canonical}&payout=1.00&sig={sig}",
        f"{canonical.replace('a%20b', 'a%2Bb')}&sig={sig}",
        canonical.replace("&payout", "%26payout") + f"&sig={sig}",
    ):
        refused(lambda: exchange(proxy, request(f"/postback/sorted?{query}")))


def test_rotation_accepts_both_secrets_until_one_is_revoked(proxy, networks, database, click_id, refused):
    database.execute("SELECT postback.add_network('rotating')")
    older, newer = SECRET + " old", SECRET + " new"
    for secret in (older, newer):
        database.execute("SELECT postback.add_network_secret('rotating', 'hmac', %s)", [secret])
    query = f"click_id={click_id}&transaction_id=rotating"

    def send(secret):
        return exchange(proxy, request(f"/postback/rotating?{query}&sig={signature(query, secret)}"))

    assert [send(older).status, send(newer).status] == [200, 200]
    database.execute("SELECT postback.revoke_network_secrets('rotating', 'hmac', except_newest => 1)")
    refused(lambda: send(older))
    assert send(newer).status == 200
    database.execute("SELECT postback.revoke_network_secrets('rotating', 'hmac')")
    # No secret left does not mean no check.
    refused(lambda: send(newer))


def test_token_parameter_is_checked_and_masked(proxy, networks, click_id, refused, last):
    query = f"click_id={click_id}&payout=1.00&transaction_id=token"
    assert proxy.get(f"/postback/tokened?{query}&token={TOKEN}").status == 200
    assert TOKEN.encode() not in bytes(last()["query"])
    assert bytes(last()["query"]) == f"{query}&token=***".encode()
    body = f'{{"click_id": "{click_id}", "token": "{TOKEN}"}}'.encode()
    assert proxy.post("/postback/tokened", body, "application/json").status == 200
    assert TOKEN.encode() not in bytes(last()["body"])
    for bad in (
        "",
        "&token=",
        f"&token={TOKEN[:-1]}",
        f"&token={TOKEN}x",
        f"&token={TOKEN.lower()}",
        f"&token={TOKEN}%00",
        "&token={token}",
    ):
        stored = refused(lambda: exchange(proxy, request(f"/postback/tokened?{query}{bad}")))
        assert TOKEN.lower().encode() not in bytes(stored["query"]).lower()


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (f'{{"token": "{TOKEN}", "click_id": ', "application/json"),
        (f'[{{"token": "{TOKEN}"}}]', "application/json"),
        (f'{{"a": {{"token": "{TOKEN}"}}}}', "application/json"),
        (f'{{"Token": "{TOKEN}"}}', "application/json"),
        (f'{{"token": "{TOKEN}"}}', "text/plain"),
        (f"token={TOKEN}&x=%zz", "application/x-www-form-urlencoded"),
        (f"token={TOKEN}", "application/json"),
    ],
)
def test_token_is_masked_in_a_body_that_cannot_be_read_too(proxy, networks, refused, body, content_type):
    stored = refused(lambda: proxy.post("/postback/tokened", body.encode(), content_type))
    assert TOKEN.encode() not in bytes(stored["body"])


def test_path_token_is_checked_and_masked(proxy, networks, click_id, refused, last):
    query = f"click_id={click_id}&payout=1.00&transaction_id=path"
    assert proxy.get(f"/postback/pathed/{TOKEN}?{query}").status == 200
    assert last()["path"] == "/postback/pathed/***"
    for path in (
        "",
        f"/{TOKEN[:-1]}",
        f"/{TOKEN}x",
        f"/{TOKEN.lower()}",
        "/" + TOKEN.replace(".", "%2E"),
        "/%00",
        "/***",
        "/a%20secret",
    ):
        stored = refused(lambda: exchange(proxy, request(f"/postback/pathed{path}?{query}")))
        assert TOKEN[:-1] not in stored["path"]


def test_every_configured_check_must_pass(proxy, networks, click_id, refused, last):
    with_token = f"click_id={click_id}&transaction_id=both&token={TOKEN}"
    without = f"click_id={click_id}&transaction_id=both"
    assert proxy.get(f"/postback/both?{with_token}&sig={signature(with_token)}").status == 200
    assert last()["checks"] == ["hmac:ok", "token:ok"]
    stored = refused(lambda: proxy.get(f"/postback/both?{with_token}&sig={signature(without)}"))
    assert stored["checks"] == ["hmac:refused", "token:ok"]
    stored = refused(lambda: proxy.get(f"/postback/both?{without}&sig={signature(without)}"))
    assert stored["checks"] == ["hmac:ok", "token:refused"]


def test_source_address_is_checked(proxy, networks, click_id, refused, last):
    query = f"click_id={click_id}&transaction_id=cidr"
    assert proxy.get(f"/postback/here?{query}").status == 200
    assert last()["checks"] == ["cidr:ok"]
    for network in ("elsewhere", "nobody"):
        # The header is the attacker's: nobody said that this peer is a proxy.
        stored = refused(lambda: proxy.get(f"/postback/{network}?{query}", headers={"X-Forwarded-For": "203.0.113.5"}))
        assert (stored["checks"], str(stored["source_ip"])) == (["cidr:refused"], "127.0.0.1")


def test_network_in_capitals_is_the_same_network_with_the_same_checks(proxy, networks, click_id, refused):
    query = f"click_id={click_id}&transaction_id=capitals"
    assert proxy.get(f"/postback/SIGNED?{query}&sig={signature(query)}").status == 200
    refused(lambda: proxy.get(f"/postback/SIGNED?{query}"))


@pytest.mark.parametrize("path", ["/postback/unknown", "/postback/unknown/token", "/postback/signed."])
def test_unknown_network_is_refused_and_stored(proxy, networks, refused, path):
    stored = refused(lambda: exchange(proxy, request(f"{path}?click_id=a&transaction_id=u&token=12345678")))
    assert stored["network_id"] is None
    assert b"12345678" not in bytes(stored["query"])
    assert stored["path"] == path.replace("/unknown/token", "/unknown/***")


def test_offer_of_a_guarded_network_cannot_be_converted_through_an_open_door(proxy, networks, database, refused):
    signed = database.execute("SELECT network_id FROM postback.networks WHERE slug = 'signed'").fetchone()[0]
    database.execute(
        "SELECT postback.add_offer('Guarded', 'https://g.example/?c={click_id}', offer_id => 555, network => 'signed')"
    )
    click_id = proxy.get("/click?campaign=1&offer=555").location.split("c=")[1]
    query = f"click_id={click_id}&payout=9.00&transaction_id=guarded"
    for path in ("/postback", "/postback/default", "/postback/here"):
        refused(lambda: proxy.get(f"{path}?{query}"))
    assert proxy.get(f"/postback?{query}&sig={signature(query)}").status == 200
    row = database.execute("SELECT network_id FROM postback.conversions WHERE transaction_id = 'guarded'").fetchone()
    assert row == (signed,)
