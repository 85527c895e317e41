"""HTTP as attackers, broken clients and confused proxies speak it: a clear answer or a closed connection, no more."""

import socket

import pytest
from support import database_url, wait_until
from wire import answers, connect, exchange, read_all, request, send

pytestmark = pytest.mark.usefixtures("never_5xx", "proxy_lives")


@pytest.fixture
def proxy_lives(proxy):
    yield
    assert proxy.get("/").status == 200
    assert proxy.process.poll() is None


@pytest.fixture
def clicks(database):
    return lambda: database.execute("SELECT count(*) FROM postback.clicks").fetchone()[0]


@pytest.fixture
def line(campaign):
    """The request line of a tap."""
    return f"GET /{campaign.codes[1001]} HTTP/1.1\r\n".encode()


def refused(stream, statuses=(400,)):
    """One answer of these statuses, or a closed connection without any."""
    found = answers(stream)
    assert len(found) <= 1
    assert all(answer.status in statuses for answer in found), found[0].status if found else None
    return found


# --- Host ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "hosts",
    [
        b"",
        b"Host: a.example\r\nHost: a.example\r\n",
        b"Host: a.example\r\nHost: b.example\r\n",
        b"Host:\r\n",
        b"Host:  \r\n",
        b"Host: a.example,b.example\r\n",
        b"Host: u@a.example\r\n",
        b"Host: u:p@a.example\r\n",
        b"Host: a.example/p\r\n",
        b"Host: a b\r\n",
        b"Host: a.example:80:80\r\n",
        b"Host: a.example:http\r\n",
        b"Host: [::1\r\n",
        b"Host: \xff\r\n",
        b"Host: a.example\r\nhOST: a.example\r\n",
        b"Host: http://a.example\r\n",
    ],
)
def test_doubtful_host_is_400_and_ends_the_connection(proxy, line, clicks, hosts):
    before = clicks()
    # The second request of the same bytes must not be answered: nobody knows who wrote it.
    answer = exchange(proxy, line + hosts + b"\r\n" + line + b"Host: a.example\r\n\r\n")
    assert (answer.status, answer.headers["cache-control"], answer.headers["connection"]) == (400, "no-store", "close")
    assert clicks() == before


@pytest.mark.parametrize(
    "host",
    ["s.example.com", "s.example.com:8080", "127.0.0.1:1", "[::1]:8080", "xn--bcher-kva.example", "S.EXAMPLE.COM."],
)
def test_proper_host_is_taken_and_changes_nothing(proxy, campaign, host):
    answer = exchange(proxy, request(f"/{campaign.codes[1001]}", host=host))
    assert answer.status == 302
    assert answer.location.startswith("https://network.example.com/offer/789?")


def test_http_1_0_works_with_and_without_host(proxy, campaign):
    for host in (None, "s.example.com"):
        answer = exchange(proxy, request(f"/{campaign.codes[1001]}", host=host, version="HTTP/1.0", close=False))
        assert answer.status == 302


def test_absolute_target_leads_where_its_path_leads(proxy, campaign):
    answer = exchange(proxy, request(f"http://evil.example/{campaign.codes[1001]}"))
    assert answer.location.startswith("https://network.example.com/offer/789?")


# --- methods ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "get", "Get", "G", "GETT"]
)
@pytest.mark.parametrize("path", ["/", "/{code}", "/click?campaign=456"])
def test_other_methods_are_405_with_allow(proxy, campaign, clicks, method, path):
    before = clicks()
    answer = exchange(
        proxy, request(path.format(code=campaign.codes[1001]), method, headers=[("X-Secret", "echo-me")]), method
    )
    assert (answer.status, answer.headers["allow"], answer.headers["cache-control"]) == (405, "GET, HEAD", "no-store")
    assert b"echo-me" not in answer.body
    assert clicks() == before


def test_options_star_and_connect_are_405_and_get_star_is_400(proxy):
    for method, target, status in (
        ("OPTIONS", "*", 405),
        ("CONNECT", "network.example.com:443", 405),
        ("GET", "*", 400),
        ("GET", "a.example:80", 400),
    ):
        answer = exchange(proxy, request(target, method))
        assert (answer.status, answer.headers.get("cache-control")) == (status, "no-store"), (method, target)
        assert status != 405 or answer.headers["allow"]


# --- not HTTP --------------------------------------------------------------------------------------------------------

TLS_HELLO = bytes.fromhex("16030100c8010000c40303") + bytes(range(32)) + bytes(160)


@pytest.mark.parametrize(
    "data",
    [
        b"\x00" * 100,
        b"\xff" * 5000,
        b"hello\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /\r\n\r\n",
        b" GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        TLS_HELLO,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
        b"GET / HTTP/9.9\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/2.0\r\nHost: a\r\n\r\n",
        b"GET / http/1.1\r\nHost: a\r\n\r\n",
        b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET a HTTP/1.1\r\nHost: a\r\n\r\n",
        b"PROXY TCP4 203.0.113.1 127.0.0.1 1 2\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\r\r\r\r",
        b"G" * 200_000,
        b"G" * 100_000 + b" / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\x05\x01\x00",
        b"EHLO a\r\n",
    ],
)
def test_what_is_not_http_is_refused_or_closed(proxy, data):
    with connect(proxy) as connection:
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        refused(read_all(connection), (400, 405, 414, 431, 505))


@pytest.mark.parametrize(
    "headers",
    [
        b"X: a\rb\r\n",
        b"X: a\x00b\r\n",
        b"X\x00: a\r\n",
        b"X: a\n\rb\r\n",
        b"X : a\r\n",
        b": a\r\n",
        b" X: a\r\n",
        b"X\r\n",
        b"X Y: a\r\n",
        b"X: a\x01b\r\n",
        b"X: a\x7fb\r\n",
        b"\xc3\xa9: a\r\n",
    ],
)
def test_control_bytes_and_broken_names_in_headers_are_400(proxy, line, clicks, headers):
    before = clicks()
    found = refused(send(proxy, line + b"Host: a.example\r\n" + headers + b"Connection: close\r\n\r\n"))
    assert len(found) == 1
    assert clicks() == before


@pytest.mark.parametrize(
    "path",
    [
        b"/a\rb",
        b"/a\nb",
        b"/a\x00b",
        b"/a\x7fb",
        b"/a\tb",
        b"/\x00",
        b"/click?campaign=456&sub1=\rx",
        b"/postback?\x00",
    ],
)
def test_control_bytes_in_the_target_are_400(proxy, path):
    found = refused(send(proxy, b"GET " + path + b" HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n"))
    assert len(found) == 1


# --- sizes -----------------------------------------------------------------------------------------------------------


def test_what_no_url_may_hold_is_refused_and_counted(proxy):
    before = proxy.metric("unreadable_requests_total")
    for target in ('/postback?transaction_id=1&name="x"', "/postback?transaction_id=1&source=<source>", "/postback?transaction_id=1&name=a b"):
        assert [answer.status for answer in answers(send(proxy, request(target)))] == [400]
    assert proxy.metric("unreadable_requests_total") == before + 3
    assert send(proxy, request("/")).startswith(b"HTTP/1.1 200")
    assert proxy.metric("unreadable_requests_total") == before + 3


def test_hundred_headers_are_fine_and_more_are_431(proxy, campaign):
    headers = [(f"X-{number}", "v") for number in range(97)]  # with Host, User-Agent and Connection it makes 100
    target = f"/{campaign.codes[1001]}"
    assert exchange(proxy, request(target, headers=headers)).status == 302
    assert exchange(proxy, request(target, headers=headers + [("X-97", "v")])).status == 431


@pytest.mark.parametrize(
    ("length", "statuses"), [(8192, (404,)), (8193, (414,)), (65_000, (414,)), (66_000, (414,)), (200_000, (414, 431))]
)
def test_target_longer_than_8_kib_is_414(proxy, length, statuses):
    for target in ("/" + "a" * (length - 1), "/nowhere/?" + "a" * (length - 10)):
        assert refused(send(proxy, request(target)), statuses)


@pytest.mark.parametrize(
    "data",
    [
        request("/" + "a" * 70_000),
        request("/" + "a" * 9000),
        request("/", headers=[(f"X-{number}", "v") for number in range(200)]),
        b"GET / HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n",
        b"GET / HTTP/3.0\r\nHost: a\r\n\r\n",
        request("/", headers=[("X", "a" * 200_000)]),
    ],
    ids=["target of 70 kB", "target of 9 kB", "200 headers", "bad header", "bad version", "header of 200 kB"],
)
def test_errors_are_not_kept_in_caches_either(proxy, data):
    # A cached 414 or 404 is as lost a click as a cached redirect.
    [answer] = answers(send(proxy, data))
    assert 400 <= answer.status < 500
    assert answer.headers.get("cache-control") == "no-store"


# --- where a request ends --------------------------------------------------------------------------------------------


def test_chunked_wins_over_length_and_ends_the_connection(proxy):
    smuggled = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"
    for lines in ("Content-Length: 4\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nContent-Length: 4"):
        head = f"POST /postback HTTP/1.1\r\nHost: a.example\r\n{lines}\r\n\r\n".encode()
        found = answers(send(proxy, head + b"0\r\n\r\n" + smuggled))
        assert len(found) == 1
        assert found[0].status == 400


@pytest.mark.parametrize(
    "length",
    ["5, 10", "+5", "-0", "-1", "0x5", "1_0", "", "18446744073709551616", "5 5", "5\r\nContent-Length: 10", "a"],
)
def test_length_that_is_no_number_is_400(proxy, length):
    data = request("/postback", "POST", headers=[("Content-Length", length)]) + b"click"
    assert refused(send(proxy, data))


CHUNKED = b"POST /postback HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize(
    "data",
    [
        b"POST /postback HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        CHUNKED.replace(b"chunked", b"chunked, gzip") + b"0\r\n\r\n",
        CHUNKED.replace(b"chunked", b"xchunked") + b"0\r\n\r\n",
        CHUNKED.replace(b"Encoding:", b"Encoding :") + b"0\r\n\r\n",
        CHUNKED + b"ffffffffffffffff1\r\n",
        CHUNKED + b"\r\n\r\n",
        CHUNKED + b"-1\r\n",
        CHUNKED + b"0x5\r\nclick\r\n0\r\n\r\n",
        CHUNKED + b"1;" + b"x" * 65_536 + b"\r\na\r\n0\r\n\r\n",
    ],
)
def test_broken_chunking_is_400_and_ends_the_connection(proxy, database, data):
    before = database.execute("SELECT count(*) FROM postback.postbacks").fetchone()
    refused(send(proxy, data), (400, 413))
    assert database.execute("SELECT count(*) FROM postback.postbacks").fetchone() == before


def test_chunks_of_one_byte_are_one_body(proxy):
    chunks = (
        b"".join(b"1\r\n%c\r\n" % byte for byte in b"click_id=unknown&x=" + b"y" * 2000)
        + b"0\r\nHost: b\r\nContent-Length: 9\r\n\r\n"
    )
    assert (
        exchange(proxy, request("/postback", "POST", headers=[("Transfer-Encoding", "chunked")]) + chunks).status == 200
    )


def test_body_of_a_get_is_not_the_next_request(proxy, campaign):
    smuggled = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
    found = answers(send(proxy, request(f"/{campaign.codes[1001]}", close=False, body=smuggled) + request("/")))
    assert [answer.status for answer in found] in ([302, 200], [302])


# --- time ------------------------------------------------------------------------------------------------------------


def normal(stream):
    """The answers without what differs from one to the next."""
    found = answers(stream)
    return [
        (a.status, sorted(n for n in a.headers), a.body, (a.location or "").partition("aff_click_id=")[0])
        for a in found
    ]


def test_request_split_at_any_byte_gets_the_same_answer(proxy, campaign):
    body = b"click_id=unknown&payout=1.00"
    for whole in (
        request(f"/{campaign.codes[1001]}", headers=[("X-Forwarded-For", "a")]),
        request("/postback", "POST", body=body),
        request("/postback", "POST", headers=[("Transfer-Encoding", "chunked")])
        + b"5\r\nclick\r\n8\r\n_id=last\r\n0\r\n\r\n",
        request("/nowhere/at/all"),
    ):
        expected = normal(send(proxy, whole))
        assert len(expected) == 1
        places = range(1, len(whole))
        connections = [connect(proxy) for _ in places]
        try:
            for connection, at in zip(connections, places):
                connection.sendall(whole[:at])
            # An answer on another connection: the proxy has had its turn with the first parts.
            assert proxy.get("/").status == 200
            for connection, at in zip(connections, places):
                connection.sendall(whole[at:])
            for connection, at in zip(connections, places):
                assert normal(read_all(connection)) == expected, at
        finally:
            for connection in connections:
                connection.close()


def test_pipelined_requests_are_answered_in_order(proxy, campaign):
    kinds = [
        ("GET", f"/{campaign.codes[1001]}", 302),
        ("GET", "/nowhere/", 404),
        ("HEAD", f"/{campaign.codes[1002]}", 302),
        ("GET", "/", 200),
        ("PUT", "/", 405),
        ("GET", "/postback?click_id=unknown", 200),
        ("GET", "/postback", 400),
    ]
    data = b"".join(request(path, method, close=False) for method, path, _ in kinds * 20) + request("/")
    found = answers(send(proxy, data), [method for method, _, _ in kinds * 20])
    assert [answer.status for answer in found] == [status for _, _, status in kinds] * 20 + [200]


def test_half_closed_connection_gets_its_answer(proxy, campaign):
    with connect(proxy) as connection:
        connection.sendall(request(f"/{campaign.codes[1001]}", close=False))
        connection.shutdown(socket.SHUT_WR)
        assert [answer.status for answer in answers(read_all(connection))] == [302]


def test_request_that_never_ends_is_no_click(proxy, campaign, clicks):
    before = clicks()
    whole = request(f"/{campaign.codes[1001]}")
    for at in (1, 10, len(whole) - 2, len(whole) - 1):
        with connect(proxy) as connection:
            connection.sendall(whole[:at])
            connection.shutdown(socket.SHUT_WR)
            refused(read_all(connection))
    assert clicks() == before


def test_client_that_hangs_up_leaves_nothing_open(proxy, campaign):
    def open_connections():
        lines = proxy.admin("/metrics").text.splitlines()
        return int(next(line.split()[1] for line in lines if line.startswith("postback_connections ")))

    for _ in range(50):
        connection = connect(proxy)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        connection.sendall(request(f"/{campaign.codes[1001]}", close=False))
        connection.close()  # with a reset
    wait_until(lambda: open_connections() == 0, "the connections are gone")


def test_body_that_does_not_come_is_408_at_the_deadline(start_proxy, database):
    hurried = start_proxy(database_url(database), request_deadline_ms=100)
    head = request("/postback", "POST", headers=[("Content-Length", "100")])
    answer = exchange(hurried, head + b"click_id=a")
    assert (answer.status, answer.headers["cache-control"], answer.headers["connection"]) == (408, "no-store", "close")
