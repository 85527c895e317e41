"""Whose address a click is stored under: the peer's, or what trusted proxies vouch for, and nothing a client writes."""

import socket

import pytest
from support import database_url, free_address
from wire import exchange, request


@pytest.fixture(scope="module")
def behind_proxies(start_proxy, database):
    return start_proxy(database_url(database), trusted_proxies="127.0.0.1, 10.0.0.0/8,2001:db8:1::/48")


@pytest.fixture
def stored_address(database, campaign):
    """Taps through a proxy with these X-Forwarded-For lines and gives the address of the stored click."""

    def tap(proxy, *lines, name="X-Forwarded-For"):
        answer = exchange(proxy, request(f"/{campaign.codes[1001]}", headers=[(name, line) for line in lines]))
        assert answer.status == 302
        click_id = answer.location.split("aff_click_id=")[1]
        return database.execute(
            "SELECT host(ip_address) FROM postback.clicks WHERE click_id = %s", [click_id]
        ).fetchone()[0]

    return tap


def test_without_trusted_proxies_the_header_is_ignored(proxy, stored_address):
    for lines in ([], ["203.0.113.9"], ["203.0.113.9, 127.0.0.1"], ["127.0.0.1", "203.0.113.9"]):
        assert stored_address(proxy, *lines) == "127.0.0.1"


@pytest.mark.parametrize(
    ("lines", "client"),
    [
        ([], "127.0.0.1"),
        (["203.0.113.9"], "203.0.113.9"),
        # The client wrote the left one.
        (["198.51.100.1, 203.0.113.9"], "203.0.113.9"),
        (["198.51.100.1", "203.0.113.9"], "203.0.113.9"),
        (["203.0.113.9", "198.51.100.1"], "198.51.100.1"),
        (["198.51.100.1, 203.0.113.9, 10.1.2.3", "10.0.0.1 ,10.0.0.2"], "203.0.113.9"),
        (["10.0.0.9, 10.0.0.2"], "10.0.0.9"),
        (["2001:db8:2::7, 2001:db8:1::1"], "2001:db8:2::7"),
        (["2001:DB8:2:0:0:0:0:7"], "2001:db8:2::7"),
        (["::ffff:203.0.113.9"], "203.0.113.9"),
        (["203.0.113.9:4711"], "203.0.113.9"),
        (["[2001:db8:2::7]:4711"], "2001:db8:2::7"),
        (["203.0.113.9," + ",".join(["10.0.0.7"] * 1000)], "203.0.113.9"),
    ],
)
def test_header_is_walked_from_the_right_over_trusted_hops(behind_proxies, stored_address, lines, client):
    assert stored_address(behind_proxies, *lines) == client


@pytest.mark.parametrize(
    "garbage",
    [
        "unknown",
        "_hidden",
        "",
        " ",
        "010.0.0.1",
        "0x0a000001",
        "1.2.3",
        "1.2.3.4.5",
        "256.1.1.1",
        "fe80::1%eth0",
        "203.0.113.9/24",
        "\u00e9",
        "'; --",
        "a" * 4000,
        "203.0.113.9 198.51.100.1",
    ],
)
def test_walk_stops_at_what_is_no_address(behind_proxies, stored_address, garbage):
    assert stored_address(behind_proxies, garbage) == "127.0.0.1"
    assert stored_address(behind_proxies, f"203.0.113.9, {garbage}") == "127.0.0.1"
    assert stored_address(behind_proxies, f"203.0.113.9, {garbage}, 10.0.0.2") == "10.0.0.2"
    assert stored_address(behind_proxies, f"{garbage}, 203.0.113.9") == "203.0.113.9"


@pytest.mark.parametrize(
    "name", ["Forwarded", "X-Real-IP", "CF-Connecting-IP", "True-Client-IP", "X-Client-IP", "X_Forwarded_For"]
)
def test_no_other_header_is_read(behind_proxies, stored_address, name):
    assert (
        stored_address(behind_proxies, "for=203.0.113.9" if name == "Forwarded" else "203.0.113.9", name=name)
        == "127.0.0.1"
    )


def test_trailers_do_not_carry_an_address(behind_proxies, database):
    head = request("/postback?click_id=trailer", "POST", headers=[("Transfer-Encoding", "chunked")])
    assert exchange(behind_proxies, head + b"0\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n").status == 200
    query = "SELECT host(source_ip) FROM postback.postbacks WHERE click_id = 'trailer'"
    assert database.execute(query).fetchone() == ("127.0.0.1",)


def test_network_is_known_by_the_address_the_trusted_proxy_saw(behind_proxies, database):
    database.execute(
        "SELECT postback.add_network('Acme', allowed_cidrs => ARRAY['203.0.113.0/24', '2001:db8:5::/48']::cidr[])"
    )
    for line, status in (
        ("203.0.113.9", 200),
        ("2001:db8:5::1", 200),
        ("203.0.113.9, 198.51.100.1", 403),
        ("198.51.100.1, 203.0.113.9", 200),
        ("203.0.113.9, unknown", 403),
    ):
        answer = behind_proxies.get("/postback/acme?click_id=unknown", headers={"X-Forwarded-For": line})
        assert answer.status == status, line


def test_ipv4_client_of_an_ipv6_socket_is_stored_as_ipv4(start_proxy, database, campaign):
    if not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    port = free_address().split(":")[1]
    proxy = start_proxy(database_url(database), listen=f"[::]:{port}", trusted_proxies="127.0.0.1")
    for host, expected in (("127.0.0.1", "203.0.113.9"), ("[::1]", "::1")):
        answer = proxy.get(
            f"/{campaign.codes[1002]}", headers={"X-Forwarded-For": "203.0.113.9"}, base_url=f"http://{host}:{port}"
        )
        click_id = answer.location.split("aff_click_id=")[1]
        row = database.execute(
            "SELECT host(ip_address) FROM postback.clicks WHERE click_id = %s", [click_id]
        ).fetchone()
        assert row == (expected,)
