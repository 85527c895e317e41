"""`postback-proxy preflight` over a chain of three hops on loopback, and the launch checklist that shows what it found."""

import os
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from support import PROXY, database_url, free_address, wait_until


class Hop:
    """A server that sends everybody on to the next one with the click id, or does with it what a test wants."""

    def __init__(self, following=None):
        self.following, self.treat, self.agents = following, lambda click_id: click_id, []
        hop = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                hop.agents.append(self.headers["User-Agent"])
                # Whatever the offer's URL calls it, the id is the only parameter.
                (name, [click_id]), *_ = [*parse_qs(urlsplit(self.path).query).items(), ("c", [""])]
                if hop.following:
                    self.send_response(302)
                    self.send_header("Location", f"{hop.following.url}/in?{name}={hop.treat(click_id)}")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                else:
                    self.send_response(200)
                    self.send_header("Content-Length", "2")
                    self.end_headers()
                    self.wfile.write(b"ok")

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture(scope="module")
def chain():
    third = Hop()
    second = Hop(third)
    hops = [Hop(second), second, third]
    yield hops
    for hop in hops:
        hop.server.shutdown()
        hop.server.server_close()


class Launch:
    """An offer whose every item is right: what a test breaks it mends."""

    def __init__(self, connection, proxy, chain):
        self.connection, self.proxy, self.chain = connection, proxy, chain
        self.run_sql("SELECT postback.add_network('net', 'tune')")
        self.run_sql("SELECT postback.add_network_secret('net', 'token', 'token-of-16-bytes-')")
        self.run_sql("UPDATE postback.networks SET reconcile_weekly = true WHERE slug = 'net'")
        self.template = f"{chain[0].url}/in?aff_click_id={{click_id}}"
        self.send, self.code = self.add_offer(7)

    def add_offer(self, offer):
        """Its send and the code of a link of it."""
        self.run_sql("SELECT postback.add_offer('Offer', %s, offer_id => %s, network => 'net')", self.template, offer)
        send = self.value("SELECT postback.create_send(1, offer_id => %s, base_url => %s)", offer, self.proxy.base_url)
        return send, self.value("SELECT code FROM postback.mint_links(%s, '{1001}')", send)

    def click(self, offer=7):
        """The newest click of an offer: that of the last link that was followed."""
        return self.value("SELECT click_id FROM postback.clicks WHERE offer_id = %s AND method <> 'TEST' ORDER BY clicked_at DESC LIMIT 1", offer)

    def send_to(self, template):
        """Gives the offer another URL and follows it."""
        self.run_sql("UPDATE postback.offers SET url_template = %s WHERE offer_id = 7", template)
        assert self.follow().returncode == 0

    def test_message(self, status):
        """As a network's button for tests sends it."""
        query = f"aff_click_id={self.click()}&payout=1&status={status}&transaction_id=from-http&test=1&token=token-of-16-bytes-"
        assert self.proxy.get(f"/postback/net?{query}").status == 200

    def run_sql(self, sql, *parameters):
        self.connection.execute(sql, parameters)

    def value(self, sql, *parameters):
        return self.connection.execute(sql, parameters).fetchone()[0]

    def follow(self, *options, url=None, allow=True, record=True, database=None):
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("POSTBACK_", "PG"))}
        if record:
            environment["POSTBACK_DATABASE_URL"] = database or database_url(self.connection)
        options = [*options, "--allow", "127.0.0.0/8"] if allow else options
        url = url or f"{self.proxy.base_url}/{self.code}"
        return subprocess.run([PROXY, "preflight", url, *options], env=environment, capture_output=True, text=True, timeout=60)

    def failing(self, send=None):
        rows = self.connection.execute("SELECT * FROM postback.preflight(send => %s)", [send or self.send]).fetchall()
        assert len(rows) == 14
        assert all((fix is None) == ok and evidence for _, ok, evidence, fix in rows), rows
        return [check for check, ok, _, _ in rows if not ok]


@pytest.fixture(scope="module")
def launch(database, proxy, chain):
    return Launch(database, proxy, chain)


@pytest.fixture
def ready(launch):
    """The launch with everything right."""
    if launch.failing():
        assert launch.follow().returncode == 0
        launch.run_sql("SELECT postback.test_postback('net')")
    assert launch.failing() == []
    return launch


def test_checklist_passes_once_everything_was_done(launch):
    assert launch.failing() == ["redirect_chain", "redirects", "short_domain_page", "test_postback", "report_shows_test"]
    followed = launch.follow()
    assert followed.returncode == 0, followed.stdout + followed.stderr
    assert [line.split()[1] for line in followed.stdout.splitlines()[:4]] == ["302", "302", "302", "200"]
    assert followed.stdout.count("click id in aff_click_id") == 3
    assert launch.failing() == ["test_postback", "report_shows_test"]
    assert launch.value("SELECT verdict::text FROM postback.test_postback('net')") == "test"
    assert launch.failing() == []


def test_click_of_the_check_counts_as_nobodys(launch):
    visitors = "SELECT array_agg(DISTINCT visitor::text) FROM postback.clicks WHERE method <> 'TEST'"
    assert launch.value(visitors) == ["prefetch"]
    assert launch.value("SELECT coalesce(sum(human_clicks), 0) FROM postback.performance()") == 0
    assert all("postback-preflight" in agent for agent in launch.chain[1].agents)


@pytest.mark.usefixtures("ready")
@pytest.mark.parametrize(
    ("treat", "how"),
    [
        (lambda click_id: "", "it is not in the URL"),
        (lambda click_id: click_id[:20], "aff_click_id has its first 20 of 36 characters"),
        (str.upper, "aff_click_id has it in another case"),
        (lambda click_id: click_id.replace("-", "%252D"), "aff_click_id has it percent-encoded twice"),
    ],
)
def test_hop_where_the_click_id_is_lost_is_named(launch, treat, how):
    launch.chain[1].treat = treat
    try:
        followed = launch.follow()
    finally:
        launch.chain[1].treat = lambda click_id: click_id
    assert followed.returncode == 1
    assert f"lost between hop 3 (127.0.0.1) and hop 4 (127.0.0.1): {how}" in followed.stdout
    assert launch.failing() == ["redirect_chain"]
    evidence = launch.value("SELECT evidence FROM postback.preflight(send => %s) WHERE \"check\" = 'redirect_chain'", launch.send)
    assert evidence.startswith("lost between hop 3")
    assert launch.follow().returncode == 0 and launch.failing() == []


def test_findings_are_shown_also_when_they_cannot_be_recorded(launch):
    host, port = free_address().split(":")
    followed = launch.follow(database=f"postgresql:///postback?host={host}&port={port}&user=postback")
    assert followed.returncode == 1 and "ok    click id: every hop carried it" in followed.stdout
    assert followed.stderr.startswith("postback-proxy: the findings cannot be recorded: ")


def test_link_of_no_send_is_followed_and_not_recorded(launch):
    runs = "SELECT count(*) FROM postback.preflight_runs"
    before = launch.value(runs)
    followed = launch.follow("--carries=abc", url=f"{launch.chain[0].url}/in?c=abc")
    assert "ok    click id: every hop carried it" in followed.stdout
    assert followed.stdout.endswith("not recorded: no send in this database has such a link\n") and followed.stderr == ""
    assert launch.value(runs) == before


def test_id_need_not_go_beyond_the_host_it_is_for(launch):
    launch.chain[1].treat = lambda click_id: "their-own"
    try:
        assert launch.follow("--until", "127.0.0.1", record=False).returncode == 0
        assert launch.follow("--until", "n.example", record=False).returncode == 1
    finally:
        launch.chain[1].treat = lambda click_id: click_id


@pytest.mark.usefixtures("ready")
def test_too_many_redirects_fail(launch):
    followed = launch.follow("--redirects", "2")
    assert followed.returncode == 1 and "FAIL  redirects: 3, at most 2" in followed.stdout
    assert launch.failing() == ["redirects"]
    assert launch.follow().returncode == 0


def test_inside_addresses_are_reached_only_when_allowed(launch):
    followed = launch.follow(allow=False, record=False)
    assert followed.returncode == 1 and "which is loopback" in followed.stdout, followed.stdout
    asked = len(launch.chain[0].agents)
    assert launch.follow("--allow", "10.0.0.0/8", allow=False, record=False).returncode == 1
    assert len(launch.chain[0].agents) == asked


def test_circle_is_given_up(launch):
    first, second, third = launch.chain
    third.following = second
    try:
        followed = launch.follow(record=False)
    finally:
        third.following = None
    assert followed.returncode == 1 and "may be a circle" in followed.stdout


@pytest.mark.usefixtures("ready")
def test_domain_without_a_page_fails(launch, start_proxy, tmp_path):
    page = tmp_path / "empty.html"
    page.write_text("")
    bare = start_proxy(database_url(launch.connection), page_file=page)
    followed = launch.follow(url=f"{bare.base_url}/{launch.code}")
    assert followed.returncode == 1 and "FAIL  page at /: it is empty" in followed.stdout
    assert launch.failing() == ["short_domain_page"]
    assert launch.follow().returncode == 0


def lose_the_id(launch):
    launch.chain[1].treat = lambda click_id: "their-own"
    launch.follow()
    launch.chain[1].treat = lambda click_id: click_id


def follow_again(launch):
    assert launch.follow().returncode == 0


def in_sql(statement):
    return lambda launch: launch.run_sql(statement)


# Each item: how it goes wrong, and how it is put right.
ITEMS = {
    "click_id_generation": (
        lambda launch: launch.send_to(f"{launch.chain[2].url}/in#{{click_id}}"),
        lambda launch: launch.send_to(launch.template),
    ),
    "links_minted": (in_sql("UPDATE postback.sends SET messages = 0"), in_sql("UPDATE postback.sends SET messages = 1")),
    "offer_url_parameter": (
        lambda launch: launch.send_to(launch.template.replace("aff_click_id", "subid")),
        lambda launch: launch.send_to(launch.template),
    ),
    "redirect_chain": (lose_the_id, follow_again),
    "redirects": (lambda launch: launch.follow("--redirects", "2"), follow_again),
    "postback_url": (
        in_sql("UPDATE postback.networks SET parameters = parameters - 'payout' WHERE slug = 'net'"),
        in_sql("UPDATE postback.networks SET parameters = parameters || '{\"payout\": [\"payout\"]}' WHERE slug = 'net'"),
    ),
    "authentication": (
        in_sql("DELETE FROM _postback.network_secrets"),
        in_sql("SELECT postback.add_network_secret('net', 'token', 'token-of-16-bytes-')"),
    ),
    "dedupe_key": (
        in_sql("UPDATE postback.networks SET dedupe = '{\"click_id,event\"}' WHERE slug = 'net'"),
        in_sql("UPDATE postback.networks SET dedupe = '{\"transaction_id,event\",\"click_id,event\"}' WHERE slug = 'net'"),
    ),
    "test_postback": (lambda launch: launch.test_message("great"), lambda launch: launch.test_message("approved")),
    "fraud_rules": (
        in_sql("UPDATE postback.fraud_rules SET enabled = false"),
        in_sql("UPDATE postback.fraud_rules SET enabled = true"),
    ),
    "reconciliation": (
        in_sql("UPDATE postback.networks SET reconcile_weekly = false"),
        in_sql("UPDATE postback.networks SET reconcile_weekly = true"),
    ),
    "click_window": (
        in_sql("UPDATE postback.offers SET click_window = '1 hour'"),
        in_sql("UPDATE postback.offers SET click_window = '7 days'"),
    ),
}
# Those with a test of their own below and above.
OTHER_ITEMS = {"short_domain_page", "report_shows_test"}


@pytest.mark.parametrize("check", ITEMS)
def test_each_item_fails_alone(ready, check):
    spoil, mend = ITEMS[check]
    spoil(ready)
    assert ready.failing() == [check]
    mend(ready)
    assert ready.failing() == []


def test_test_conversion_of_another_offer_is_not_this_ones(ready):
    send, code = ready.add_offer(8)
    assert ready.follow(url=f"{ready.proxy.base_url}/{code}").returncode == 0
    assert ready.failing(send) == ["report_shows_test"]
    fix = ready.value("SELECT fix FROM postback.preflight(send => %s) WHERE NOT ok", send)
    assert fix.startswith("SELECT * FROM postback.test_postback('net', click_id) with the id of a click of this offer")
    ready.run_sql("SELECT postback.test_postback('net', %s)", ready.click(offer=8))
    assert ready.failing(send) == []


def test_no_item_is_left_out(launch):
    assert ITEMS.keys() | OTHER_ITEMS == {row[0] for row in launch.connection.execute("SELECT \"check\" FROM postback.preflight(offer => 7)")}


@pytest.mark.usefixtures("ready")
def test_changed_offer_url_has_to_be_followed_again(launch):
    launch.run_sql("UPDATE postback.offers SET url_template = url_template || '&x=1'")
    assert launch.failing() == ["redirect_chain", "redirects", "short_domain_page"]
    launch.run_sql("UPDATE postback.offers SET url_template = %s WHERE offer_id = 7", launch.template)
    assert launch.failing() == []


@pytest.mark.parametrize("arguments", [[], ["ftp://s.example/"], ["http://s.example/", "--redirects", "many"]])
def test_wrong_usage_is_said(arguments):
    ended = subprocess.run([PROXY, "preflight", *arguments], capture_output=True, text=True, timeout=30)
    assert ended.returncode == 64 and ended.stderr.startswith("postback-proxy: ")


def test_depth_of_the_spool_is_told(launch, start_proxy, tmp_path):
    start_proxy(database_url(launch.connection), spool=tmp_path / "spool")
    wait_until(lambda: launch.value("SELECT count(*) FROM _postback.spools WHERE records = 0") == 1, "the spool is told")
