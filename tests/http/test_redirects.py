"""What a tap on one of our own links gets, and what is kept of it."""

import string
import time
import uuid

import pytest
from support import PHONE
from wire import answers, exchange, request, send

pytestmark = pytest.mark.usefixtures("never_5xx")

IMESSAGE = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_11_1) AppleWebKit/601.2.4 (KHTML, like Gecko) Version/9.0.1 "
    "Safari/601.2.4 facebookexternalhit/1.1 Facebot Twitterbot/1.0"
)
REDIRECT_HEADERS = {
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-robots-tag": "noindex",
    "x-content-type-options": "nosniff",
    "content-length": "0",
}


def click_id_of(answer):
    assert answer.status == 302
    prefix, click_id = answer.location.split("aff_click_id=")
    assert prefix == "https://network.example.com/offer/789?"
    return click_id


@pytest.fixture
def click(database):
    """The stored click of an answer, as a dictionary; None when there is none."""

    def of(answer):
        cursor = database.execute("SELECT * FROM postback.clicks WHERE click_id = %s", [click_id_of(answer)])
        rows = cursor.fetchall()
        assert len(rows) <= 1
        return dict(zip([column.name for column in cursor.description], rows[0])) if rows else None

    return of


@pytest.fixture
def clicks_stored(database):
    return lambda: database.execute("SELECT count(*) FROM postback.clicks").fetchone()[0]


def test_redirect_has_these_headers_and_no_others(proxy, campaign):
    answer = proxy.get(f"/{campaign.codes[1001]}")
    headers = dict(answer.headers)
    assert headers.pop("location").startswith("https://network.example.com/offer/789?aff_click_id=")
    assert headers.pop("date")
    headers.pop("connection", None)
    assert (answer.status, headers, answer.body) == (302, REDIRECT_HEADERS, b"")


def test_tap_is_stored_with_all_that_is_known(proxy, campaign, click):
    answer = proxy.get(f"/{campaign.codes[1001]}")
    stored = click(answer)
    assert (stored["subscriber_id"], stored["campaign_id"], stored["segment_id"]) == (1001, 456, 101)
    assert (stored["variant_id"], stored["offer_id"], stored["send_id"]) == (1, 789, campaign.send_id)
    assert (stored["visitor"], stored["method"], stored["user_agent"]) == ("human", "GET", PHONE)
    assert str(stored["ip_address"]) == "127.0.0.1"


def test_click_id_is_a_uuid_of_version_7_with_the_time_of_the_click(proxy, campaign, click):
    stored = click(proxy.get(f"/{campaign.codes[1001]}"))
    parsed = uuid.UUID(stored["click_id"])
    assert str(parsed) == stored["click_id"]
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert parsed.int >> 80 == round(stored["clicked_at"].timestamp() * 1000)


def test_head_is_answered_alike_without_body_and_stored_as_head(proxy, campaign, click, database):
    counted = "SELECT clicks FROM postback.performance()"
    before = database.execute(counted).fetchone()[0]
    stream = send(proxy, request(f"/{campaign.codes[1002]}", method="HEAD"))
    [answer] = answers(stream, ["HEAD"])
    assert {name: answer.headers[name] for name in REDIRECT_HEADERS} == REDIRECT_HEADERS
    assert stream.endswith(b"\r\n\r\n")
    stored = click(answer)
    assert (stored["visitor"], stored["method"]) == ("head", "HEAD")
    assert database.execute(counted).fetchone()[0] == before


def test_two_taps_are_two_clicks(proxy, campaign, click):
    code = campaign.codes[1003]
    first, second = answers(send(proxy, request(f"/{code}", close=False) + request(f"/{code}")))
    assert click_id_of(first) != click_id_of(second)
    assert click(first) and click(second)


@pytest.mark.parametrize(
    "glued", [".", ")", ",", ").", ",)", "...", "/", "*", "%20", "%29", "%E2%80%9D", "%e2%80%8b", "%2e/", "&utm_source=sms"]
)
def test_punctuation_that_apps_glue_to_a_link_is_stripped(proxy, campaign, click, glued):
    assert click(proxy.get(f"/{campaign.codes[1001]}{glued}"))["subscriber_id"] == 1001


def test_query_of_a_link_is_ignored(proxy, campaign, click):
    answer = proxy.get(f"/{campaign.codes[1001]}?aff_click_id=attacker&click_id=attacker&fbclid=x&offer=1#top")
    assert "attacker" not in answer.location
    assert click(answer)["subscriber_id"] == 1001


def not_found_answers(proxy, campaign):
    """Targets that must all get one and the same answer."""
    code = campaign.codes[1001]
    others = string.ascii_letters + string.digits
    flipped = [code[:at] + others[others.index(code[at]) - 1] + code[at + 1 :] for at in range(len(code))]
    return (
        flipped
        + [code[:-1], code[:5], code[:1], code + "a", code + code, code[::-1], code.swapcase(), code.lower()]
        + ["AAAAAAAAAAA", "a", "a" * 64, "a" * 65, "nosuchalias", "ZZZZZZZZZZZ", "zzzzzzzzzzz"]
        + ["caf%C3%A9", "%2e%2e", "%2F", "%00", "%", "%zz", "%0d%0aX:y", f"%{ord(code[0]):02X}{code[1:]}"]
        + [
            f"{code}//",
            f"{code}/x",
            f"/{code}",
            f"x/../{code}",
            "favicon.ico",
            "robots.txt",
            ".well-known/acme",
            "..",
            ".",
            ")",
        ]
        + ["click//", "clicks", "Click", "postback//", "postbacks", "healthz", "readyz", "metrics", "domains/a.example"]
        + ["a;b", "a'b--", "a%27%20OR%201=1", "a=b", "~a", "$", "*", "@", "a:b", f"{code};x"]
    )


def test_everything_that_is_not_there_gets_one_and_the_same_404(proxy, campaign, clicks_stored):
    before = clicks_stored()
    expected = None
    for target in not_found_answers(proxy, campaign):
        for method in ("GET", "HEAD"):
            answer = exchange(proxy, request(f"/{target}", method), method)
            assert answer.status == 404, target
            answer.headers.pop("date")
            seen = answer.headers, answer.body if method == "GET" else b"not found\n"
            expected = expected or seen
            assert seen == expected, target
    assert expected[0]["cache-control"] == "no-store"
    assert clicks_stored() == before


def test_code_of_ten_thousand_characters_is_refused(proxy):
    answer = proxy.get("/" + "a" * 10_000)
    assert answer.status in (404, 414)
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("target", ["/caf\u00e9", "/\u4f60\u597d", "/\U0001f600", "/\u202ecode"])
def test_raw_unicode_in_a_path_leads_nowhere(proxy, target):
    assert exchange(proxy, request(target)).status in (400, 404)


def test_alias_leads_where_its_link_leads_and_case_counts(proxy, campaign, click, database):
    link_id = database.execute("SELECT link_id FROM postback.links WHERE subscriber_id = 1002").fetchone()[0]
    database.execute(
        "INSERT INTO postback.link_aliases VALUES ('Spring-Sale_26', %s), ('abcdefghijk', %s)", [link_id] * 2
    )
    for alias in ("Spring-Sale_26", "Spring-Sale_26.", "abcdefghijk"):
        assert click(proxy.get(f"/{alias}"))["subscriber_id"] == 1002, alias
    for other in ("spring-sale_26", "Spring-Sale_2", "Abcdefghijk"):
        assert proxy.get(f"/{other}").status == 404, other


def test_preview_of_a_message_app_is_no_human(proxy, campaign, click):
    assert click(proxy.get(f"/{campaign.codes[1001]}", headers={"User-Agent": IMESSAGE}))["visitor"] == "preview"


@pytest.mark.parametrize("name", ["Sec-Purpose", "Purpose", "X-Purpose", "X-Moz"])
def test_prefetch_is_no_human(proxy, campaign, click, name):
    stored = click(proxy.get(f"/{campaign.codes[1001]}", headers={name: "prefetch"}))
    assert (stored["visitor"], stored["purpose"]) == ("prefetch", "prefetch")


def test_missing_and_empty_user_agent_is_suspect(proxy, campaign, click):
    line = f"GET /{campaign.codes[1001]} HTTP/1.1\r\nHost: s.example.com\r\nConnection: close\r\n".encode()
    for more in (b"", b"User-Agent:\r\n", b"User-Agent:   \r\n"):
        stored = click(exchange(proxy, line + more + b"\r\n"))
        assert (stored["visitor"], stored["user_agent"]) == ("suspect", "")


def test_user_agent_of_64_kib_is_redirected_and_stored_cut(proxy, campaign, click):
    agent = PHONE + "x" * (64 * 1024 - len(PHONE))
    stored = click(exchange(proxy, request(f"/{campaign.codes[1001]}", headers=[("User-Agent", agent)])))
    assert stored["user_agent"] == agent[:1024]


def test_user_agent_of_any_bytes_is_stored_as_text(proxy, campaign, click):
    line = f"GET /{campaign.codes[1001]} HTTP/1.1\r\nHost: s.example.com\r\nConnection: close\r\nUser-Agent: ".encode()
    for agent, text in [
        (b"a\xff\xfe'\"\\\tb", "a\ufffd\ufffd'\"\\\tb"),
        ("\u00e9".encode() * 600, "\u00e9" * 512),
        (b'{},NULL,"x"', '{},NULL,"x"'),
        (b"$1; DROP TABLE postback.clicks; --", "$1; DROP TABLE postback.clicks; --"),
    ]:
        assert click(exchange(proxy, line + agent + b"\r\n\r\n"))["user_agent"] == text


def test_lone_tap_does_not_wait_for_company(proxy, campaign):
    proxy.get(f"/{campaign.codes[1001]}")  # the first one plans the statement
    started = time.monotonic()
    assert proxy.get(f"/{campaign.codes[1001]}").status == 302
    assert time.monotonic() - started < 1


def test_page_at_the_root(proxy):
    answer = proxy.get("/")
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert answer.headers["cache-control"] == "no-store"
    head = exchange(proxy, request("/", "HEAD"), "HEAD")
    assert (head.status, head.headers["content-length"]) == (200, str(len(answer.body)))
