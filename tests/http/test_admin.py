"""The admin listener: health, readiness, metrics; none of it on the public one."""

import os
import pathlib
import re
import subprocess

import psycopg
import pytest
from support import REPOSITORY, Campaign, database_url, wait_until
from wire import exchange, request


class Cluster:
    """A PostgreSQL of a test's own, which it may stop."""

    def __init__(self, name):
        self.directory = pathlib.Path(os.environ["POSTBACK_TESTS_DIR"]) / name

    def run(self, command, *options):
        program = [REPOSITORY / "dev/cluster", command, self.directory, *options]
        return subprocess.run(program, check=True, capture_output=True, text=True).stdout

    def connect(self, dbname="postgres"):
        found = dict(re.findall(r"(PG\w+)=(\S+)", self.run("env")))
        return psycopg.connect(
            host=found["PGHOST"], port=found["PGPORT"], user=found["PGUSER"], dbname=dbname, autocommit=True
        )


@pytest.fixture
def cluster():
    made = Cluster("admin-cluster")
    made.run("start", "--set", "fsync=off")
    yield made
    made.run("remove")


LABEL = r'[a-zA-Z_]\w*="(?:[^"\\\n]|\\.)*"'
SAMPLE = re.compile(
    r"(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)"
    rf"(?:\{{(?P<labels>(?:{LABEL},?)*)\}})? "
    r"(?P<value>[-+0-9.eE]+|NaN|[-+]Inf)"
)


def samples(proxy):
    """The metrics as {(name, labels): value}; every line must be one of the text format's."""
    answer = proxy.admin("/metrics")
    assert answer.status == 200
    lines = answer.text.splitlines()
    if answer.headers["content-type"].startswith("application/openmetrics-text"):
        assert lines.pop() == "# EOF"
    else:
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found, described = {}, set()
    for line in lines:
        if line.startswith("# "):
            _, keyword, name, _ = line.split(" ", 3)
            assert keyword in ("HELP", "TYPE", "UNIT")
            described.add(name)
            continue
        sample = SAMPLE.fullmatch(line)
        assert sample, line
        key = sample["name"], frozenset(re.findall(r'(\w+)="([^"]*)"', sample["labels"] or ""))
        assert key not in found, line
        assert any(sample["name"].startswith(name) for name in described), line
        found[key] = float(sample["value"])
    return found


def difference(before, after):
    """What moved, without times and buckets."""
    moved = {}
    for (name, labels), value in after.items():
        if value != before.get((name, labels), 0) and name.endswith("_total"):
            moved[name, *sorted(labels)] = value - before.get((name, labels), 0)
    return moved


def test_health_and_readiness_say_ok(proxy):
    for path in ("/healthz", "/readyz"):
        answer = proxy.admin(path)
        assert (answer.status, answer.text, answer.headers["cache-control"]) == (200, "ok\n", "no-store")


def test_admin_paths_do_not_exist_on_the_public_listener(proxy):
    expected = proxy.get("/no/such/path")
    for path in ("/healthz", "/readyz", "/metrics", "/domains/s.example.com", "/admin", "/debug", "/metrics/"):
        answer = proxy.get(path)
        expected.headers["date"] = answer.headers["date"]
        assert (answer.status, answer.headers, answer.body) == (404, expected.headers, expected.body), path


def test_domains_are_known_only_with_a_spool(proxy):
    answer = proxy.admin("/domains/s.example.com")
    assert (answer.status, answer.text) == (503, "the domains are known where POSTBACK_SPOOL is set\n")


def test_public_paths_do_not_exist_on_the_admin_listener(proxy, campaign):
    for path in ("/", f"/{campaign.codes[1001]}", "/click?campaign=456", "/postback?click_id=a", "/healthz/"):
        assert proxy.admin(path).status == 404, path


def test_admin_takes_only_get_and_head(proxy):
    for method in ("POST", "PUT", "DELETE"):
        answer = proxy.get("/metrics", method, base_url=f"http://{proxy.admin_listen}")
        assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


def test_metrics_count_what_was_answered_and_recorded(proxy, campaign):
    for send, moved in [
        (lambda: proxy.get(f"/{campaign.codes[1001]}"), {("requests", "code", "3xx"): 1, ("clicks", "human"): 1}),
        (
            lambda: exchange(proxy, request(f"/{campaign.codes[1001]}", "HEAD"), "HEAD"),
            {("requests", "code", "3xx"): 1, ("clicks", "head"): 1},
        ),
        (lambda: proxy.get("/AAAAAAAAAAA"), {("requests", "code", "4xx"): 1}),
        (lambda: proxy.get("/click?campaign=456"), {("requests", "click", "3xx"): 1, ("clicks", "human"): 1}),
        (
            lambda: proxy.get("/postback?click_id=unknown"),
            {("requests", "postback", "2xx"): 1, ("postbacks", "unmatched"): 1},
        ),
        (
            lambda: proxy.get("/postback/unknown?click_id=a"),
            {("requests", "postback", "4xx"): 1, ("postbacks", "unauthenticated"): 1},
        ),
        (lambda: proxy.get("/"), {("requests", "page", "2xx"): 1}),
        (lambda: proxy.get("/x/y/z"), {("requests", "other", "4xx"): 1}),
    ]:
        before = samples(proxy)
        send()
        found = difference(before, samples(proxy))
        expected = {}
        for (kind, *words), by in moved.items():
            names = {"requests": ("route", "status"), "clicks": ("visitor",), "postbacks": ("verdict",)}[kind]
            expected[f"postback_{kind}_total", *sorted(zip(names, words))] = by
        assert found == expected


def test_no_label_comes_from_a_client(proxy):
    before = set(samples(proxy))
    for number in range(20):
        proxy.get(f"/postback/network-{number}?status=word-{number}&click_id=a")
        exchange(proxy, request(f"/path/{number}", f"METHOD{number}"))
    assert set(samples(proxy)) == before


def test_readiness_follows_the_database_and_health_does_not(start_proxy, cluster):
    with cluster.connect() as connection:
        connection.execute("CREATE EXTENSION postback")
        connection.execute("SELECT postback.install()")
        code = Campaign(connection).codes[1001]
        proxy = start_proxy(database_url(connection), request_deadline_ms=500)
    assert proxy.get(f"/{code}").status == 302

    cluster.run("stop")
    wait_until(lambda: proxy.admin("/readyz").status == 503, "the proxy is not ready")
    assert proxy.admin("/healthz").status == 200
    for target in (f"/{code}", "/click?campaign=456", "/postback?click_id=a"):
        answer = proxy.get(target)
        assert (answer.status, answer.location, answer.headers["cache-control"]) == (503, None, "no-store"), target
        assert int(answer.headers["retry-after"]) > 0
    # What needs no database is answered as ever.
    assert (proxy.get("/").status, proxy.get("/no/such").status) == (200, 404)

    cluster.run("start")
    wait_until(lambda: proxy.admin("/readyz").status == 200, "the proxy is ready again")
    wait_until(lambda: proxy.get(f"/{code}").status == 302, "taps are recorded again")
    with cluster.connect() as connection:
        clicks = connection.execute("SELECT count(*) FROM postback.clicks WHERE send_id IS NOT NULL").fetchone()[0]
    assert clicks >= 2
