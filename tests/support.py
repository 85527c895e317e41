"""Databases made from the runner's template, the proxy as a child process, and a campaign to test with.

For tests that need several of them; one of each comes as a fixture, see conftest.py.
"""

import os
import pathlib
import select
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

import psycopg
import pytest

REPOSITORY = pathlib.Path(__file__).parent.parent
PROXY = REPOSITORY / "target/release/postback-proxy"
PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/17.5 Mobile/15E148 Safari/604.1"
)
DEADLINE = 15.0  # seconds that any awaited condition may take


def run_program(name, *arguments, **options):
    """One of PostgreSQL's own programs, of the version under test."""
    program = pathlib.Path(os.environ["POSTBACK_TESTS_BIN"]) / name
    return subprocess.run([program, *arguments], check=True, capture_output=True, text=True, **options)


def connect(name):
    """A connection in autocommit; the server comes from PGHOST, PGPORT and PGUSER."""
    return psycopg.connect(dbname=name, autocommit=True)


def wait_until(condition, what, seconds=DEADLINE):
    """Asks until the answer is true; fails when it stays false for so many seconds."""
    give_up_at = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > give_up_at:
            pytest.fail(f"waited {seconds:.0f} s in vain until {what}")
        select.select([], [], [], 0.02)


class Databases:
    """Makes databases with names of their own and drops them at the end."""

    def __init__(self):
        self.names = []

    def create(self, *options, template="postback_tests_template"):
        name = f"postback_tests_py_{os.getpid()}_{len(self.names)}"
        run_program("createdb", f"--template={template}", *options, name)
        self.names.append(name)
        return name

    def create_bare(self, *options):
        """A database without anything, as a dump is restored into."""
        return self.create(*options, template="template0")

    def drop_all(self):
        for name in self.names:
            run_program("dropdb", "--force", "--if-exists", name)


def database_url(connection):
    """The address of a connection's database, as the proxy takes it."""
    info = connection.info
    return f"postgresql:///{info.dbname}?host={info.host}&port={info.port}&user={info.user}"


def free_address():
    """A loopback address with a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


class Answer:
    """What came back for one request: status, headers (names in lower case), body in bytes."""

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = {name.lower(): value for name, value in headers}
        self.body = body

    @property
    def location(self):
        return self.headers.get("location")

    @property
    def text(self):
        return self.body.decode()


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """Redirects are what is tested: they are not followed."""

    def redirect_request(self, *_):
        return None


class Proxy:
    """A running proxy. `get` and `post` speak correct HTTP; `raw` sends any bytes."""

    opener = urllib.request.build_opener(NoRedirect)

    def __init__(self, url, addresses=None, environment=(), prefix=(), **settings):
        self.listen, self.admin_listen = addresses or (free_address(), free_address())
        self.base_url = f"http://{self.listen}"
        self.log_lines = []
        # Nothing of the developer's own POSTBACK_* may reach the proxy under test.
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("POSTBACK_", "PG"))}
        environment = inherited | dict(environment)
        environment.update(
            POSTBACK_DATABASE_URL=url,
            POSTBACK_LISTEN=self.listen,
            POSTBACK_ADMIN_LISTEN=self.admin_listen,
            # The runner's cluster has fsync off, for speed.
            POSTBACK_ALLOW_UNSAFE="on",
        )
        environment.update({f"POSTBACK_{name.upper()}": str(value) for name, value in settings.items()})
        self.log_path = pathlib.Path(os.environ["POSTBACK_TESTS_DIR"]) / f"proxy-{self.listen.replace(':', '-')}.log"
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([*prefix, PROXY], env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    @property
    def log(self):
        """Everything the proxy has logged so far."""
        return self.log_path.read_text(errors="replace")

    def metric(self, name):
        """The sum of all samples of a metric; its labels do not matter here."""
        lines = self.admin("/metrics").text.splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.split("{")[0].split(" ")[0] == f"postback_{name}")

    def wait_until_ready(self):
        def ready():
            assert self.process.poll() is None, f"the proxy ended with {self.process.returncode}:\n{self.log}"
            try:
                return self.admin("/readyz").status == 200
            except OSError:
                return False

        wait_until(ready, "the proxy is ready")
        return self

    def get(self, target, method="GET", headers=None, data=None, base_url=None):
        """One request on a connection of its own; `target` is everything after the host."""
        request = urllib.request.Request((base_url or self.base_url) + target, data=data, method=method)
        for name, value in ({"User-Agent": PHONE} | (headers or {})).items():
            request.add_header(name, value)
        try:
            with self.opener.open(request, timeout=DEADLINE) as response:
                return Answer(response.status, response.getheaders(), response.read())
        except urllib.error.HTTPError as response:
            return Answer(response.code, response.headers.items(), response.read())

    def post(self, target, data, content_type="application/x-www-form-urlencoded", headers=None):
        return self.get(target, "POST", {"Content-Type": content_type} | (headers or {}), data)

    def admin(self, target):
        return self.get(target, base_url=f"http://{self.admin_listen}")

    def raw(self, request):
        """Sends bytes as they are and returns all that come back until the proxy closes the connection."""
        host, port = self.listen.split(":")
        answer = b""
        with socket.create_connection((host, int(port)), timeout=DEADLINE) as connection:
            connection.sendall(request)
            while chunk := connection.recv(65536):
                answer += chunk
        return answer

    def stop(self):
        """SIGTERM, then the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            pytest.fail(f"the proxy did not stop within 60 s of SIGTERM:\n{self.log}")


class Campaign:
    """A campaign with an offer, and its links by subscriber."""

    def __init__(self, connection, base_url="https://s.example.com", subscribers=(1001, 1002, 1003)):
        self.offer_id, self.campaign_id, self.segment_id, self.variant_id = 789, 456, 101, 1
        connection.execute(
            "SELECT postback.add_offer(name => 'Offer', offer_id => %s, url_template => "
            "'https://network.example.com/offer/789?aff_click_id={click_id}')",
            [self.offer_id],
        )
        connection.execute("INSERT INTO postback.campaigns (campaign_id, offer_id) VALUES (456, %s)", [self.offer_id])
        self.send_id = connection.execute(
            "SELECT postback.create_send(%s, segment_id => %s, variant_id => %s, base_url => %s)",
            [self.campaign_id, self.segment_id, self.variant_id, base_url],
        ).fetchone()[0]
        links = connection.execute("SELECT * FROM postback.mint_links(%s, %s)", [self.send_id, list(subscribers)])
        self.codes = {subscriber: code for subscriber, code, _ in links}
