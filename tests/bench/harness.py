"""What the load programs share: a private cluster with durable settings, the proxy, wrk and pgbench."""

import contextlib
import fcntl
import json
import os
import pathlib
import re
import shlex
import socket
import subprocess
import time
import urllib.request

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent.parent
HERE = pathlib.Path(__file__).resolve().parent
OUTPUT = REPOSITORY / "target/bench"
DATABASE = "postback_bench"

# Durable, as in production: fsync and synchronous_commit are on (dev/cluster sets them), and no checkpoint falls into a
# measurement: one is made before each.
SETTINGS = {
    "shared_buffers": "1GB",
    "max_wal_size": "16GB",
    "min_wal_size": "2GB",
    "checkpoint_timeout": "1h",
    "max_connections": "100",
}


class Cluster:
    """A private cluster with one database that has the extension and its tables; gone at the end of the `with`."""

    def __init__(self, directory=OUTPUT / "cluster"):
        self.directory = directory

    def __enter__(self):
        OUTPUT.mkdir(parents=True, exist_ok=True)
        # Two loads at once would measure each other. The kernel lets go of the lock when this process ends.
        self.lock = open(OUTPUT / "lock", "w", encoding="ascii")
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit("another load program runs in this checkout") from None
        self._manage("remove")
        self.start()
        exports = shlex.split(self._manage("env"))[1:]
        self.environment = os.environ | dict(export.split("=", 1) for export in exports)
        host, port, user = (self.environment[name] for name in ("PGHOST", "PGPORT", "PGUSER"))
        self.url = f"postgresql:///{DATABASE}?host={host}&port={port}&user={user}"
        subprocess.run(["createdb", DATABASE], check=True, env=self.environment)
        self.sql("CREATE EXTENSION postback; SELECT postback.install();")
        return self

    def __exit__(self, *_):
        self._manage("remove")
        self.lock.close()

    def start(self):
        """Also after a stop: on the port and with the data that it had."""
        settings = [argument for name, value in SETTINGS.items() for argument in ("--set", f"{name}={value}")]
        self._manage("start", *settings)

    def stop(self):
        self._manage("stop")

    def _manage(self, command, *arguments):
        program = REPOSITORY / "dev/cluster"
        return subprocess.run(
            [program, command, self.directory, *arguments], check=True, stdout=subprocess.PIPE, text=True
        ).stdout

    def sql(self, text, database=DATABASE, **variables):
        """Runs statements; the rows come back as lines, columns parted by `|`. `:name` stands for a variable."""
        options = [argument for name, value in variables.items() for argument in ("-v", f"{name}={value}")]
        command = ["psql", "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", "-d", database, *options, "-f", "-"]
        return subprocess.run(
            command, check=True, input=text, stdout=subprocess.PIPE, text=True, env=self.environment
        ).stdout.splitlines()

    def value(self, text, **variables):
        """The one value that a statement gives."""
        return self.sql(text, **variables)[-1]

    def settle(self):
        """Lets maintain() finish what it has to do, so that a load pays for itself only; the seconds it took."""
        started = time.monotonic()
        while True:
            self.sql("SELECT * FROM postback.maintain()")
            if self.value(
                "SELECT (s.counted_until > clock_timestamp() - interval '5 minutes' OR NOT EXISTS (SELECT FROM postback.clicks)) "
                "AND NOT EXISTS (SELECT FROM _postback.spoiled_hours()) FROM _postback.rollup_state AS s"
            ) == "t":  # fmt: skip
                took = time.monotonic() - started
                self.sql("CHECKPOINT")
                return took

    def run_file(self, name, database=DATABASE, **variables):
        """Runs a file beside this one; its rows come back as from `sql`."""
        return self.sql((HERE / name).read_text(), database, **variables)

    def write(self, query, path):
        """Writes a query's only column to a file, one value a line."""
        with open(path, "wb") as output:
            subprocess.run(
                ["psql", "-X", "-q", "-d", DATABASE, "-c", f"COPY ({query}) TO STDOUT"],
                check=True,
                stdout=output,
                env=self.environment,
            )

    def export_csv(self, query, path, header=False):
        """Writes a query's rows to a file."""
        with open(path, "wb") as output:
            command = ["psql", "-X", "-q", "-d", DATABASE, "-c", f"COPY ({query}) TO STDOUT (FORMAT csv, HEADER {header})"]
            subprocess.run(command, check=True, stdout=output, env=self.environment)

    def seconds(self, text, before=""):
        """How long one statement takes after others in its session, as psql's \\timing sees it."""
        return seconds_in(self.sql(f"{before}\n\\timing on\n{text}"))


def seconds_in(lines):
    """The first time that psql printed."""
    return float(next(line for line in lines if line.startswith("Time: ")).split()[1]) / 1000


def free_address():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


class Address(str):
    """Where a proxy listens, and its process."""

    def __new__(cls, listen, process):
        address = super().__new__(cls, listen)
        address.process = process
        return address


@contextlib.contextmanager
def running_proxy(url=None, **settings):
    """A release build of the proxy with POSTBACK_<setting>; gives the address it listens on."""
    listen, admin = free_address(), free_address()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("POSTBACK_")}
    environment |= {"POSTBACK_LISTEN": listen, "POSTBACK_ADMIN_LISTEN": admin, "POSTBACK_LOG": "error"}
    if url:
        environment["POSTBACK_DATABASE_URL"] = url
    environment |= {f"POSTBACK_{name.upper()}": str(value) for name, value in settings.items()}
    process = subprocess.Popen([REPOSITORY / "target/release/postback-proxy"], env=environment)
    try:
        wait_until_ready(process, f"http://{admin}/readyz")
        yield Address(listen, process)
    finally:
        process.terminate()
        process.wait(timeout=60)


def wait_until(condition, what, seconds=15):
    """Asks until the answer is true; the seconds it took."""
    started = time.monotonic()
    while not condition():
        if time.monotonic() > started + seconds:
            raise SystemExit(f"waited {seconds} s in vain until {what}")
        time.sleep(0.05)
    return time.monotonic() - started


def wait_until_ready(process, url):
    def ready():
        if process.poll() is not None:
            raise SystemExit(f"the proxy ended with {process.returncode}")
        try:
            with urllib.request.urlopen(url, timeout=2):
                return True
        except OSError:
            return False

    wait_until(ready, "the proxy is ready")


def wrk(address, script, data, seconds, connections=256, threads=2):
    """Load from a Lua script over the lines of a file; rate, p50 and p99 in ms, number of answers and of bad ones."""
    command = [
        "wrk", f"-t{threads}", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s",
        "-s", HERE / script, f"http://{address}", "--", data, str(threads),
    ]  # fmt: skip
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    line = next((line for line in output.splitlines() if line.startswith("{")), None)
    if line is None:
        raise SystemExit(f"wrk gave no summary:\n{output}")
    return json.loads(line)


def pgbench(cluster, script, seconds, connections=2, database=DATABASE):
    """Calls a second of a pgbench script on prepared statements."""
    command = [
        "pgbench", "-n", "-M", "prepared", f"-c{connections}", f"-j{connections}", f"-T{seconds}",
        "-f", HERE / script, database,
    ]  # fmt: skip
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=cluster.environment).stdout
    return float(re.search(r"^tps = ([\d.]+)", output, re.MULTILINE)[1])
