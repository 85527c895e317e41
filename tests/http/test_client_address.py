"""Whose address a click is stored under: the peer's, or what trusted proxies vouch for, and nothing a client writes."""

import socket

import pytest
from support import database_url, free_address
from wire import connect, exchange, read_all, request, send


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


SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
IPV4 = bytes([203, 0, 113, 9, 192, 0, 2, 1, 0x12, 0x34, 0, 80])


def version_2(command, family, payload):
    return SIGNATURE + bytes([0x20 | command, family]) + len(payload).to_bytes(2, "big") + payload


@pytest.fixture(scope="module")
def behind_balancer(start_proxy, database):
    return start_proxy(database_url(database), trusted_proxies="127.0.0.1,10.0.0.0/8", proxy_protocol="on")


@pytest.mark.parametrize(
    ("header", "lines", "client"),
    [
        (b"PROXY TCP4 203.0.113.9 192.0.2.1 4660 80\r\n", [], "203.0.113.9"),
        (b"PROXY TCP6 2001:db8:2::7 2001:db8::1 4660 80\r\n", [], "2001:db8:2::7"),
        (b"PROXY UNKNOWN\r\n", [], "127.0.0.1"),
        (version_2(1, 0x11, IPV4), [], "203.0.113.9"),
        (version_2(1, 0x11, IPV4 + b"\x04\x00\x02ab"), [], "203.0.113.9"),
        (version_2(0, 0, b""), [], "127.0.0.1"),
        (version_2(1, 0x31, bytes(216)), [], "127.0.0.1"),
        # The client behind the balancer writes what it likes; a proxy of ours behind it does not.
        (b"PROXY TCP4 203.0.113.9 192.0.2.1 4660 80\r\n", ["198.51.100.1"], "203.0.113.9"),
        (b"PROXY TCP4 10.0.0.5 192.0.2.1 4660 80\r\n", ["198.51.100.1"], "198.51.100.1"),
    ],
)
def test_balancer_names_the_client_in_its_header(behind_balancer, database, campaign, header, lines, client):
    tap = request(f"/{campaign.codes[1001]}", headers=[("X-Forwarded-For", line) for line in lines])
    answer = exchange(behind_balancer, header + tap)
    click_id = answer.location.split("aff_click_id=")[1]
    stored = database.execute("SELECT host(ip_address) FROM postback.clicks WHERE click_id = %s", [click_id])
    assert stored.fetchone() == (client,)


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"PROXY TCP4 203.0.113.9 192.0.2.1 4660 80\n",
        b"PROXY TCP4 2001:db8::7 192.0.2.1 4660 80\r\n",
        b"PROXY " + b"x" * 200 + b"\r\n",
        version_2(1, 0x11, IPV4[:8]),
        version_2(1, 0x11, IPV4 + b"\x04\x00\x09a"),
        version_2(1, 0x11, bytes(60_000)),
        version_2(3, 0x11, IPV4),
    ],
)
def test_connection_without_a_right_header_is_closed(behind_balancer, campaign, header):
    assert send(behind_balancer, header + request(f"/{campaign.codes[1001]}")) == b""


def test_header_split_at_every_byte_is_the_same(behind_balancer, campaign):
    data = version_2(1, 0x11, IPV4) + request(f"/{campaign.codes[1001]}")
    with connect(behind_balancer) as connection:
        for byte in data:
            connection.sendall(bytes([byte]))
        assert read_all(connection).startswith(b"HTTP/1.1 302 ")


def test_header_from_somebody_else_is_not_read(start_proxy, database, campaign):
    proxy = start_proxy(database_url(database), trusted_proxies="10.0.0.1", proxy_protocol="on")
    assert send(proxy, b"PROXY TCP4 203.0.113.9 192.0.2.1 4660 80\r\n" + request(f"/{campaign.codes[1001]}")) == b""


def test_header_is_a_bad_request_where_it_is_not_expected(proxy):
    assert send(proxy, b"PROXY TCP4 203.0.113.9 192.0.2.1 4660 80\r\n" + request("/")).startswith(b"HTTP/1.1 400 ")
