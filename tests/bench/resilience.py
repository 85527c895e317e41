"""What a proxy does besides the highest rate: latency at half of it, redirects without a database, idle clients, bytes on disk.

Run by run.py. Alone (`python3 tests/bench/resilience.py`) it plays an outage of a minute under 2,000 taps a second and says how long
people waited and when the last click was in the database.
"""

import contextlib
import json
import pathlib
import resource
import shutil
import socket
import subprocess
import sys

from harness import DATABASE, HERE, OUTPUT, REPOSITORY, Cluster, running_proxy, wait_until, wrk

IDLE_CONNECTIONS = 10_000
SLOW_CONNECTIONS = 10_000
CLICKS = "SELECT count(*) FROM postback.clicks"


def open_loop(address, rate, seconds, connections=200):
    """Taps at a fixed rate; latencies count from when a tap was due."""
    program = REPOSITORY / "target/release/examples/open_loop"
    command = [program, address, OUTPUT / "codes", str(rate), str(seconds), str(connections)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def build_clients():
    subprocess.run(
        ["cargo", "build", "--release", "--quiet", "--package", "postback-proxy", "--examples"], check=True, cwd=REPOSITORY
    )


def measure_half_load(cluster, results, seconds):
    """At half of what redirect_durable reached."""
    build_clients()
    cluster.settle()
    with running_proxy(cluster.url) as address:
        open_loop(address, 1000, 2)
        load = open_loop(address, results.values["redirect_durable"] / 2, seconds)
    if load["bad_answers"]:
        raise SystemExit(f"redirect_p99_half_load_ms: {load['bad_answers']} bad answers")
    results.add("redirect_p99_half_load_ms", load["p99_ms"], "ms")


@contextlib.contextmanager
def spooling_proxy(cluster):
    """A proxy with a spool of its own that knows all routes; gives its address."""
    spool = OUTPUT / "spool"
    shutil.rmtree(spool, ignore_errors=True)
    with running_proxy(cluster.url, spool=spool) as address:
        wait_until((spool / "routes.json").exists, "the routes are on disk")
        yield address
    shutil.rmtree(spool, ignore_errors=True)


def seconds_until_stored(cluster, wanted):
    """How long until so many clicks are in the database."""
    return wait_until(lambda: int(cluster.value(CLICKS)) >= wanted, f"{wanted} clicks are stored", seconds=300)


def measure_spooled(cluster, results, seconds):
    """With the database stopped; afterwards every tap that was answered has to arrive."""
    cluster.settle()
    before = int(cluster.value(CLICKS))
    with spooling_proxy(cluster) as address:
        cluster.stop()
        try:
            wrk(address, "redirect.lua", OUTPUT / "codes", 1)
            load = wrk(address, "redirect.lua", OUTPUT / "codes", seconds)
        finally:
            cluster.start()
        if load["bad_answers"] or load["broken"]:
            raise SystemExit(f"redirect_spooled: {load['bad_answers']} bad answers, {load['broken']} broken connections")
        took = seconds_until_stored(cluster, before + load["answers"])
    results.add_load("redirect_spooled", load)
    results.add("spool_drained", load["answers"] / took, "1/s")


def measure_idle(results):
    """Memory of a proxy with ten thousand clients that have asked once and keep their connections."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit[1], limit[1]))
    request = b"GET /4KdXyZ01abc HTTP/1.1\r\nHost: s.example.com\r\nUser-Agent: idle\r\n\r\n"
    with running_proxy(fixed_redirect="https://network.example.com/offer/789") as address, contextlib.ExitStack() as open_ones:
        host, port = address.split(":")
        for _ in range(IDLE_CONNECTIONS):
            connection = open_ones.enter_context(socket.create_connection((host, int(port)), timeout=10))
            connection.sendall(request)
            if not connection.recv(4096).startswith(b"HTTP/1.1 302"):
                raise SystemExit("idle_10k_rss_mb: a bad answer")
        status = pathlib.Path(f"/proc/{address.process.pid}/status").read_text()
    kilobytes = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))
    results.add("idle_10k_rss_mb", kilobytes / 1024, "MB")


@contextlib.contextmanager
def slow_clients(address, count):
    """Connections that say nothing, or a byte every five seconds; who is hung up on comes again."""
    program = REPOSITORY / "target/release/examples/slow_clients"
    process = subprocess.Popen([program, address, str(count)], stdout=subprocess.PIPE)
    try:
        if not process.stdout.readline():
            raise SystemExit("slow_10k_p99_ratio: the slow clients did not connect")
        yield
        if process.poll() is not None:
            raise SystemExit("slow_10k_p99_ratio: the slow clients ended early")
    finally:
        process.kill()
        process.wait()


def measure_slow_clients(cluster, results, seconds, rate=1000):
    """How much longer the slowest hundredth of taps takes while ten thousand others hold connections and ask for nothing.

    Each half in turn, several times: the machine's own hiccups fall on both.
    """
    build_clients()
    cluster.settle()
    with running_proxy(cluster.url) as address:
        open_loop(address, rate, 2)
        alone, beside = [], []
        for _ in range(3):
            alone.append(open_loop(address, rate, seconds))
            with slow_clients(address, SLOW_CONNECTIONS):
                beside.append(open_loop(address, rate, seconds))
    bad = sum(load["bad_answers"] for load in alone + beside)
    if bad:
        raise SystemExit(f"slow_10k_p99_ratio: {bad} bad answers")
    middle = [sorted(load["p99_ms"] for load in loads)[1] for loads in (alone, beside)]
    results.add("slow_10k_p99_ratio", middle[1] / middle[0], "x")
    return alone, beside


def measure_bytes(cluster, results):
    """Table, indexes and TOAST of all partitions, over the rows."""
    for name, table in (("bytes_per_click", "clicks"), ("bytes_per_link", "links")):
        size = f"SELECT sum(pg_total_relation_size(relid)) / (SELECT count(*) FROM postback.{table}) FROM pg_partition_tree('postback.{table}')"
        results.add(name, float(cluster.value(size)), "B")


def outage(seconds=60, rate=2000):
    """Stops the database for a minute under load."""
    build_clients()
    with Cluster() as cluster:
        cluster.run_file("prepare_links.sql", links=1_000_000)
        cluster.write("SELECT code FROM bench_links ORDER BY random()", OUTPUT / "codes")
        with spooling_proxy(cluster) as address:
            before = int(cluster.value(CLICKS))
            cluster.stop()
            load = open_loop(address, rate, seconds)
            cluster.start()
            took = seconds_until_stored(cluster, before + load["answers"])
    print(f"{seconds} s without {DATABASE} at {rate} taps/s: {load}; all stored {took:.1f} s after it was back")
    return 0 if load["bad_answers"] == 0 else 1


if __name__ == "__main__":
    sys.path.insert(0, str(HERE))
    sys.exit(outage())
