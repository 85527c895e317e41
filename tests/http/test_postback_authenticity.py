"""Who may post: every configured check is enforced, what fails it is stored, answered 403, and changes nothing."""

import hashlib
import hmac
import json
import string
import time

import pytest
from support import database_url
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
    assert proxy.get(f"/postback/pathed/{TOKEN}/?{query}").status == 200
    assert (last()["path"], last()["verdict"]) == ("/postback/pathed/***", "duplicate")
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


def test_source_ranges_are_enforced_as_soon_as_they_are_set(proxy, networks, database, click_id, refused):
    database.execute("SELECT postback.add_network('ranged')")
    target = f"/postback/ranged?click_id={click_id}&transaction_id=ranged"
    for sources, allowed in (
        (["127.0.0.0-255"], True),
        (["127.0.0.2-127.0.0.9", "192.0.2.0/24"], False),
        (["::ffff:127.0.0.1"], True),
        ([], False),
        (None, True),
    ):
        database.execute("SELECT postback.allow_sources('ranged', %s)", [sources])
        if allowed:
            assert proxy.get(target).status == 200
        else:
            assert refused(lambda: proxy.get(target))["checks"] == ["cidr:refused"]


def hash_of(user, transaction_id, secret=SECRET):
    return hashlib.md5(f"{user}.789.{transaction_id}.{secret}".encode()).hexdigest()


@pytest.fixture(scope="module")
def wall(database, campaign):
    """A network that hashes with MD5."""
    database.execute("SELECT postback.add_network('wall')")
    database.execute(
        "UPDATE postback.networks SET hash_algorithm = 'md5', hash_template = '{user}.{offer}.{transaction_id}.{secret}' "
        "WHERE slug = 'wall'"
    )
    database.execute("SELECT postback.add_network_secret('wall', 'hash', %s)", [SECRET])


def test_hash_over_a_template_is_checked_in_query_form_and_json(proxy, wall, click_id, refused, last):
    fields = {"click_id": click_id, "payout": "1.00", "user": "4 2", "offer": "789", "transaction_id": "h1"}
    rest = f"click_id={click_id}&payout=1.00&user=4+2&offer=789&transaction_id=h1"
    good = hash_of("4 2", "h1")
    for sig in (f"&sig={good}", f"&hash={good.upper()}", f"&signature={good}&sig=0"):
        assert proxy.get(f"/postback/wall?{rest}{sig}").status == 200
        assert last()["checks"] == ["hash:ok"]
    assert proxy.post("/postback/wall", f"{rest}&sig={good}".encode()).status == 200
    assert proxy.post("/postback/wall", json.dumps(fields | {"sig": good}).encode(), "application/json").status == 200
    for target in (
        rest,
        f"{rest}&sig=",
        f"{rest}&sig={good[:-1]}",
        f"{rest}&sig={good}0",
        f"{rest}&sig={hash_of('4 2', 'h1', SECRET[:-1])}",
        f"{rest}&sig={hash_of('4 2', 'h2')}",
        f"{rest}&sig={good}&user=43",
        f"{rest.replace('transaction_id=h1', 'transaction_id=h2')}&sig={good}",
        f"{rest.replace('user=4+2&', '')}&sig={good}",
        f"{rest}&sig={good}&x=%zz",
    ):
        refused(lambda: proxy.get(f"/postback/wall?{target}"))
    evil = json.dumps(fields | {"transaction_id": "h2"}).encode()
    refused(lambda: proxy.post(f"/postback/wall?{rest}&sig={good}", evil, "application/json"))
    refused(lambda: proxy.post(f"/postback/wall?{rest}&sig={good}", evil, "text/plain"))


INS_SECRET = "0123456789ABCDEF"
# A sale of 12.50 for click a1b2c3: openssl enc -aes-256-cbc -iv 000102...0f -K <hex of sha1(INS_SECRET)'s first 32 digits>
INS_NOTIFICATION = (
    "y2lQ71u3vZqcnDOuXEXRJvsJBs6q3oeNEOZCfgjK1r7fhhd7u6hRcuzgXiyXupQGYaN0j/dqd8bpIja7CeSKrM4S/WL+VJJ3J9eG"
    "NLa5d1Ng6Po4zk8IPD646Jlrf4/w/qF1lqRDLWE5xyHJVK9VAhN8oSGWQos/oZoPapbL5Fea082pFfx1t6AAWMYqO+8I69R5iLvQ"
    "q8SHTrZvFWhwglti3jO27uytGbkIo+CWAiM="
)
INS_IV = "AAECAwQFBgcICQoLDA0ODw=="


@pytest.fixture(scope="module")
def bank(database, campaign):
    """A network that encrypts its bodies, and the click of the notification above."""
    database.execute("SELECT postback.add_network('bank')")
    database.execute(
        "UPDATE postback.networks SET parameters = "
        """'{"click_id": ["tid"], "transaction_id": ["receipt"], "payout": ["totalAccountAmount"], "status": ["transactionType"]}', """
        """statuses = '{"sale": "approved"}' WHERE slug = 'bank'"""
    )
    database.execute("SELECT postback.add_network_secret('bank', 'clickbank_ins', %s)", [INS_SECRET])
    database.execute("SELECT postback.record_click(offer_id => 789, click_id => 'a1b2c3')")


def test_encrypted_notification_is_opened_and_counts(proxy, bank, database, refused, last):
    body = json.dumps({"notification": INS_NOTIFICATION, "iv": INS_IV}).encode()
    for content_type in ("application/json", "text/plain"):
        assert proxy.post("/postback/bank", body, content_type).status == 200
        assert last()["checks"] == ["clickbank_ins:ok"]
        # What is kept is what came: the buyer's address inside stays encrypted.
        assert bytes(last()["body"]) == body
    row = database.execute(
        "SELECT transaction_id, status::text, payout::text FROM postback.conversions WHERE click_id = 'a1b2c3'"
    ).fetchall()
    assert row == [("ABCD1234", "approved", "12.50")]
    other = INS_NOTIFICATION[:-8] + ("AAAA" if INS_NOTIFICATION[-8:-4] != "AAAA" else "BBBB") + INS_NOTIFICATION[-4:]
    for bad in (
        json.dumps({"notification": other, "iv": INS_IV}).encode(),
        json.dumps({"notification": INS_NOTIFICATION[:-24], "iv": INS_IV}).encode(),
        json.dumps({"notification": INS_NOTIFICATION, "iv": "AAAA"}).encode(),
        b'{"tid": "a1b2c3", "receipt": "X", "transactionType": "SALE"}',
        b"tid=a1b2c3&receipt=X&transactionType=SALE",
        b"",
    ):
        refused(lambda: proxy.post("/postback/bank", bad, "application/json"))
    refused(lambda: proxy.post("/postback/bank?tid=a1b2c3", body, "application/json"))
    refused(lambda: proxy.get("/postback/bank?tid=a1b2c3&receipt=X&transactionType=SALE"))


def test_signed_time_must_be_near_and_inside_the_signature(proxy, networks, database, click_id, refused, last):
    database.execute("SELECT postback.add_network('timed')")
    database.execute("UPDATE postback.networks SET signed_time_parameter = 'ts' WHERE slug = 'timed'")
    # Nothing covers the time yet.
    refused(lambda: proxy.get(f"/postback/timed?click_id={click_id}&ts={int(time.time())}"))
    database.execute("SELECT postback.add_network_secret('timed', 'hmac', %s)", [SECRET])

    def send(tail):
        query = f"click_id={click_id}&transaction_id=timed{tail}"
        return exchange(proxy, request(f"/postback/timed?{query}&sig={signature(query)}"))

    now = int(time.time())
    for distance in (0, -200, 200):
        assert send(f"&ts={now + distance}").status == 200
    assert last()["checks"] == ["hmac:ok", "time:ok"]
    for value in (now - 400, now + 400, 0, -1, 10**18, "12.5", "0x10", f"%20{now}", f"{now}%20", now * 1000, "", "9" * 300):
        assert refused(lambda: send(f"&ts={value}"))["checks"] == ["hmac:ok", "time:refused"]
    refused(lambda: send(""))
    refused(lambda: send(f"&ts={now}&ts={now + 1}"))


def test_no_secret_is_anywhere_after_right_and_wrong_messages(start_proxy, networks, wall, bank, database, click_id):
    query = f"click_id={click_id}&payout=1.00&transaction_id=canary&user=1&offer=789"
    proxy = start_proxy(database_url(database), log="debug")
    answers = []
    for network in ("signed", "tokened", "pathed", "both", "wall", "bank", "unknown"):
        for path in (f"/postback/{network}", f"/postback/{network}/{TOKEN}", f"/postback/{network}/{TOKEN}x"):
            for tail in (
                f"&token={TOKEN}",
                f"&token={TOKEN}x&sig=0",
                f"&sig={signature(query)}",
                f"&sig={hash_of('1', 'canary')}",
                f"&token={TOKEN}&sig={signature(f'{query}&token={TOKEN}')}",
                f"&token={TOKEN}&x=%zz",
            ):
                answers.append(proxy.get(f"{path}?{query}{tail}"))
                answers.append(proxy.post(path, f"{query}{tail}".encode()))
    answers.append(proxy.post("/postback/bank", json.dumps({"notification": INS_NOTIFICATION, "iv": INS_IV}).encode()))
    assert {answer.status for answer in answers} == {200, 400, 403}
    columns = database.execute(
        "SELECT p::text, convert_from(query, 'UTF8'), encode(body, 'escape') FROM postback.postbacks AS p"
    ).fetchall()
    activity = database.execute("SELECT a::text FROM pg_stat_activity AS a WHERE a.pid <> pg_backend_pid()").fetchall()
    places = {
        "answers": "\n".join(f"{answer.headers} {answer.body!r}" for answer in answers),
        "postbacks": "\n".join(str(column) for row in columns for column in row),
        "log": proxy.log,
        "metrics": proxy.admin("/metrics").text,
        "activity": str(activity),
    }
    assert "canary" in places["postbacks"] and "receive_postbacks" in places["activity"]
    for place, text in places.items():
        for secret in (SECRET, TOKEN, INS_SECRET):
            assert secret not in text and secret.encode().hex() not in text, (place, secret)
