"""`/click`: taps on links minted elsewhere, and what of their query may reach the offer."""

from urllib.parse import parse_qsl, quote, urlsplit

import pytest
from wire import exchange, request

pytestmark = pytest.mark.usefixtures("never_5xx")

TEMPLATE = "https://tracker.example.net/a/{sub1}/b?cid={click_id}&s1={sub1}&s2={sub2}&s10={sub10}&fixed=1#f"


@pytest.fixture(scope="module")
def elsewhere(database, campaign):
    """Campaign 900 leads to an offer that takes subs; offer 901 is another one."""
    for offer_id, template in ((900, TEMPLATE), (901, "https://other.example.net/?c={click_id}")):
        database.execute("SELECT postback.add_offer('Offer', %s, offer_id => %s)", [template, offer_id])
    database.execute("INSERT INTO postback.campaigns (campaign_id, offer_id) VALUES (900, 900), (902, NULL)")


@pytest.fixture
def stored(database):
    def of(click_id):
        cursor = database.execute("SELECT * FROM postback.clicks WHERE click_id = %s", [click_id])
        [row] = cursor.fetchall()
        return dict(zip([column.name for column in cursor.description], row))

    return of


def parameters(answer):
    assert answer.status == 302, answer.body
    assert answer.headers["cache-control"] == "no-store"
    return dict(parse_qsl(urlsplit(answer.location).query, keep_blank_values=True))


def test_foreign_click_id_comes_through_and_back(proxy, database, elsewhere, stored):
    answer = proxy.get("/click?campaign=456&click_id=a1b2c3")
    assert answer.location == "https://network.example.com/offer/789?aff_click_id=a1b2c3"
    click = stored("a1b2c3")
    assert (click["campaign_id"], click["offer_id"], click["visitor"]) == (456, 789, "human")
    postback = proxy.get("/postback?click_id=a1b2c3&payout=3.20&transaction_id=foreign_1")
    assert (postback.status, postback.text) == (200, "OK")
    rows = database.execute("SELECT campaign_id, payout FROM postback.conversions WHERE click_id = 'a1b2c3'").fetchall()
    assert [(campaign, str(payout)) for campaign, payout in rows] == [(456, "3.20")]


def test_foreign_click_id_tapped_twice_is_one_click(proxy, database, elsewhere):
    for _ in range(2):
        assert proxy.get("/click?campaign=456&click_id=twice-1").status == 302
    assert database.execute("SELECT count(*) FROM postback.clicks WHERE click_id = 'twice-1'").fetchone()[0] == 1
    assert database.execute("SELECT hits FROM postback.click_locations WHERE click_id = 'twice-1'").fetchone()[0] == 2


def test_foreign_click_id_of_64_characters_is_kept(proxy, elsewhere, stored):
    click_id = "~._-" + "aZ09" * 15
    assert len(click_id) == 64
    assert parameters(proxy.get(f"/click?campaign=900&click_id={click_id}"))["cid"] == click_id
    assert stored(click_id)["click_id"] == click_id


@pytest.mark.parametrize(
    "given",
    [
        "x" * 65,
        "{click_id}",
        "##CLICKID##",
        "[click_id]",
        "a b",
        "a/b",
        "\u00e9",
        "a\x01",
        "' OR 1=1",
        "a\r\nSet-Cookie: x=y",
    ],
)
def test_illegal_click_id_is_replaced_by_our_own_and_kept_aside(proxy, elsewhere, stored, given):
    answer = proxy.get(f"/click?campaign=900&click_id={quote(given, safe='')}")
    click_id = parameters(answer)["cid"]
    assert len(click_id) == 36
    assert stored(click_id)["subs"] == {"rejected_click_id": given[:64]}


def test_without_click_id_one_is_minted(proxy, elsewhere, stored):
    for query in ("campaign=900", "campaign=900&click_id=", "campaign_id=900"):
        click_id = parameters(proxy.get(f"/click?{query}"))["cid"]
        assert stored(click_id)["campaign_id"] == 900


@pytest.mark.parametrize(
    "value",
    [
        "plain",
        "a&s2=evil",
        "a#f",
        "a\r\nSet-Cookie: x=y",
        "../..",
        "..",
        ".",
        "//evil.example",
        "{click_id}",
        "a=b;c",
        "%41",
        "http://evil.example/",
        "\u4f60\u597d \U0001f600",
        "a+b",
        "'\"<script>",
        "\\",
        "@evil.example",
        "x" * 256,
        "\t\x7f",
    ],
)
def test_sub_stays_inside_its_place_in_the_url(proxy, elsewhere, stored, value):
    answer = proxy.get(f"/click?campaign=900&sub1={quote(value, safe='')}")
    assert "set-cookie" not in answer.headers
    assert answer.location.isascii() and answer.location.isprintable()
    url = urlsplit(answer.location)
    assert (url.scheme, url.netloc, url.fragment) == ("https", "tracker.example.net", "f")
    # Nothing in the path may climb: two segments fixed, ours between them.
    first, middle, last = url.path.removeprefix("/").split("/")
    assert (first, last) == ("a", "b")
    assert middle.replace("%2E", ".").replace("%2e", ".") not in (".", "..")
    found = parse_qsl(url.query, keep_blank_values=True)
    assert [name for name, _ in found] == ["cid", "s1", "s2", "s10", "fixed"]
    assert dict(found)["s1"] == value
    assert stored(dict(found)["cid"])["subs"] == {"sub1": value}


def test_all_ten_subs_are_stored_and_an_eleventh_is_not(proxy, elsewhere, stored):
    query = "&".join(f"sub{number}=v{number}" for number in range(0, 12))
    found = parameters(proxy.get(f"/click?campaign=900&{query}"))
    assert (found["s1"], found["s2"], found["s10"]) == ("v1", "v2", "v10")
    assert stored(found["cid"])["subs"] == {f"sub{number}": f"v{number}" for number in range(1, 11)}


def test_long_sub_is_cut_between_characters(proxy, elsewhere, stored):
    found = parameters(proxy.get(f"/click?campaign=900&sub2={quote(chr(0xE9) * 600)}"))
    assert found["s2"] == chr(0xE9) * 128


def test_inbound_parameters_cannot_override_ours(proxy, elsewhere):
    answer = proxy.get(
        "/click?campaign=900&cid=attacker&fixed=2&s1=attacker&utm_source=x&offer_id=900&url=https://evil.example"
    )
    found = parse_qsl(urlsplit(answer.location).query, keep_blank_values=True)
    assert [name for name, _ in found] == ["cid", "s1", "s2", "s10", "fixed"]
    assert "attacker" not in answer.location and "evil" not in answer.location
    assert dict(found)["fixed"] == "1"


def test_offer_parameter_chooses_the_offer(proxy, elsewhere, stored):
    for query in ("campaign=900&offer=901", "campaign=902&offer_id=901", "campaign=12345&offer=901"):
        answer = proxy.get(f"/click?{query}")
        assert answer.location.startswith("https://other.example.net/?c=")
        assert stored(answer.location.split("c=")[1])["offer_id"] == 901


def test_offer_that_cannot_be_one_leaves_the_tap_its_campaign(proxy, elsewhere, stored):
    for given in ("abc", "-1", "99999999999999999999", "{offer_id}"):
        click_id = parameters(proxy.get(f"/click?campaign=900&offer={quote(given)}"))["cid"]
        assert stored(click_id)["subs"] == {"rejected_offer": given}


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?",
        "?click_id=a1",
        "?campaign=",
        "?campaign=abc",
        "?campaign=-1",
        "?campaign=0",
        "?campaign=9223372036854775808",
        "?campaign={campaign}",
        "?campaign=1e3",
        "?campaign=4%005",
        "?campaign=%ff",
        "?CAMPAIGN=900",
    ],
)
def test_click_without_a_campaign_is_a_clear_400(proxy, elsewhere, query):
    answer = exchange(proxy, request(f"/click{query}"))
    assert answer.status == 400
    assert b"campaign" in answer.body
    assert answer.headers["cache-control"] == "no-store"


def test_unknown_campaign_and_campaign_without_offer_get_the_uniform_404(proxy, elsewhere, database):
    before = database.execute("SELECT count(*) FROM postback.clicks").fetchone()
    expected = proxy.get("/AAAAAAAAAAA")
    for query in ("campaign=12345", "campaign=902", "campaign=9223372036854775807", "campaign=900&offer=4711"):
        answer = proxy.get(f"/click?{query}&click_id=nowhere")
        expected.headers["date"] = answer.headers["date"]
        assert (answer.status, answer.headers, answer.body) == (404, expected.headers, expected.body), query
    assert database.execute("SELECT count(*) FROM postback.clicks").fetchone() == before


def test_parameter_that_cannot_be_read_does_not_take_the_tap_with_it(proxy, elsewhere):
    for bad in ("sub1=%zz", "sub1=%", "sub2=%00", "sub1=%ff%fe", "sub1=%c0%af", "sub1=%ed%a0%80", "&&&=&=x&"):
        assert exchange(proxy, request(f"/click?{bad}&campaign=900")).status == 302, bad


def test_head_of_click_is_stored_as_head(proxy, elsewhere, stored):
    assert exchange(proxy, request("/click?campaign=900&click_id=head-1", "HEAD"), "HEAD").status == 302
    assert stored("head-1")["visitor"] == "head"
    # The person who comes after the machine gets the click.
    assert proxy.get("/click?campaign=900&click_id=head-1").status == 302
    assert stored("head-1")["visitor"] == "human"


def test_id_of_one_of_our_links_cannot_be_taken_over_from_outside(proxy, campaign, elsewhere, stored):
    ours = proxy.get(f"/{campaign.codes[1001]}").location.split("aff_click_id=")[1]
    assert proxy.get(f"/click?campaign=900&click_id={ours}").status == 302
    click = stored(ours)
    assert (click["campaign_id"], click["subscriber_id"]) == (456, 1001)
