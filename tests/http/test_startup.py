"""Starting up: every problem at once, before anything is bound; an extension that does not fit is said clearly."""

import os
import socket
import subprocess

import psycopg
import pytest
from support import PROXY, Proxy, connect, database_url, free_address, wait_until


def run(*arguments, **settings):
    """The program to its end, with these settings and nothing of the developer's own."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("POSTBACK_", "PG"))}
    environment.update({f"POSTBACK_{name.upper()}": str(value) for name, value in settings.items()})
    return subprocess.run(
        [PROXY, *arguments], env=environment, capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL
    )


def is_bound(address):
    host, port = address.split(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def test_every_problem_of_the_configuration_is_reported_at_once():
    listen = free_address()
    ended = run(
        listen=listen,
        admin_listen="nowhere",
        trusted_proxies="10.0.0.0/8,010.0.0.1",
        batch_limit="0",
        queue_limit="many",
        request_deadline_ms="-1",
        drain_seconds="1.5",
        click_connections="",
        postback_connections="99999999999999999999",
        log="loud",
        page_file="/nonexistent/page.html",
        countries_file="/nonexistent/countries.mmdb",
        listne="127.0.0.1:1",
    )
    assert ended.returncode == 64
    for name in (
        "DATABASE_URL",
        "ADMIN_LISTEN",
        "TRUSTED_PROXIES",
        "BATCH_LIMIT",
        "QUEUE_LIMIT",
        "REQUEST_DEADLINE_MS",
        "DRAIN_SECONDS",
        "POSTBACK_CONNECTIONS",
        "LOG",
        "PAGE_FILE",
        "COUNTRIES_FILE",
        "LISTNE",
    ):
        assert f"POSTBACK_{name}" in ended.stderr, name
    assert '"010.0.0.1"' in ended.stderr
    assert "POSTBACK_CLICK_CONNECTIONS" not in ended.stderr, "empty means not set"
    assert "panicked" not in ended.stderr and ended.stdout == ""
    assert not is_bound(listen)


def test_nothing_is_bound_when_one_setting_is_wrong(databases):
    # The socket is taken: had the program tried to bind it, it would have said so and ended otherwise.
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        ended = run(database_url="postgres:///x", listen=address, log="loud")
        assert ended.returncode == 64
        assert address not in ended.stderr


@pytest.mark.parametrize(
    "url",
    [
        "postgres://u:hunter2@host:port/db",
        "password=hunter2 hunter2",
        "postgres://u:hunter2@h/d?sslmode=require",
        "mysql://u:hunter2@h/d",
        "hunter2",
        "postgres://u:hunter2@h/d?hunter2=1",
    ],
)
def test_address_of_the_database_is_never_repeated(url):
    ended = run(database_url=url)
    assert ended.returncode == 64
    assert "POSTBACK_DATABASE_URL" in ended.stderr
    assert "hunter2" not in ended.stderr


def test_taken_ports_are_both_reported(database):
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        addresses = [f"127.0.0.1:{taken.getsockname()[1]}" for taken in (one, two)]
        ended = run(database_url=database_url(database), listen=addresses[0], admin_listen=addresses[1])
        assert ended.returncode == 1
        assert all(address in ended.stderr for address in addresses)


def test_arguments_are_refused_but_for_help_and_version():
    assert (run("--help").returncode, run("--version").returncode) == (0, 0)
    assert "POSTBACK_DATABASE_URL" in run("--help").stdout
    for arguments in (["serve"], ["--help", "--version"], ["-c", "x"]):
        assert run(*arguments).returncode == 64


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE pg_extension SET extversion = '9.9.0' WHERE extname = 'postback'",
        "CREATE OR REPLACE FUNCTION postback.version() RETURNS text LANGUAGE sql AS $$ SELECT '9.9.0' $$",
    ],
    ids=["installed", "loaded"],
)
def test_extension_of_another_version_ends_the_proxy_with_a_clear_word(databases, change):
    with connect(databases.create()) as database:
        database.execute(change)
        ended = run(database_url=database_url(database), listen=free_address(), admin_listen=free_address())
    assert ended.returncode == 1
    assert '"9.9.0"' in ended.stderr


def test_database_that_forgets_is_refused_unless_told_otherwise(databases):
    with connect(databases.create()) as database:
        where = {"listen": free_address(), "admin_listen": free_address()}
        # The runner's cluster has fsync off.
        ended = run(database_url=database_url(database), **where)
        assert ended.returncode == 1
        assert "fsync=off" in ended.stderr and "POSTBACK_ALLOW_UNSAFE" in ended.stderr
        assert run(database_url=database_url(database), allow_unsafe="perhaps", **where).returncode == 64


def test_missing_extension_is_said_and_nothing_is_promised_until_it_is_there(databases):
    with connect(databases.create_bare()) as database:
        proxy = Proxy(database_url(database))
        try:
            wait_until(
                lambda: proxy.process.poll() is not None or "is the extension installed?" in proxy.log,
                "the problem is told",
            )
            if proxy.process.poll() is None:
                # It waits: the extension may be about to be installed.
                assert proxy.admin("/readyz").status == 503
                assert proxy.admin("/healthz").status == 200
                answer = proxy.get("/AAAAAAAAAAA")
                assert (answer.status, answer.headers["cache-control"]) == (503, "no-store")
                database.execute("CREATE EXTENSION postback")
                database.execute("SELECT postback.install()")
                wait_until(lambda: proxy.admin("/readyz").status == 200, "the proxy is ready")
                wait_until(lambda: proxy.get("/AAAAAAAAAAA").status == 404, "taps are looked up")
                # The same trouble again and again is not a line each time.
                assert proxy.log.count("is the extension installed?") <= 3
                assert proxy.stop() == 0
            else:
                assert proxy.process.returncode == 1
        finally:
            proxy.stop()


def test_database_that_is_not_there_yet_is_waited_for(databases):
    name = databases.create()
    with connect(name) as database:
        url = database_url(database)
        with connect("postgres") as server:
            server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        proxy = Proxy(url)
        try:
            wait_until(lambda: "cannot be reached" in proxy.log, "the problem is told")
            assert proxy.process.poll() is None
            with connect("postgres") as server:
                server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
            wait_until(lambda: proxy.admin("/readyz").status == 200, "the proxy is ready")
        finally:
            assert proxy.stop() == 0


def test_page_and_brand_are_the_operators_own(start_proxy, database, tmp_path):
    file = tmp_path / "page.html"
    file.write_bytes(b"<p>\xff hello")
    assert start_proxy(database_url(database), page_file=file).get("/").body == b"<p>\xff hello"
    text = start_proxy(database_url(database), brand="A&B <script>").get("/").text
    assert "A&amp;B &lt;script&gt;" in text and "<script>" not in text


def test_database_in_another_encoding_is_refused_before_a_tap_is_answered(databases):
    with connect(databases.create_bare("--encoding=SQL_ASCII", "--locale=C")) as database:
        database.execute("CREATE EXTENSION postback")
        with pytest.raises(psycopg.errors.FeatureNotSupported, match="SQL_ASCII"):
            database.execute("SELECT postback.install()")
