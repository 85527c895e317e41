#!/usr/bin/env python3
"""`make bench`: what the program does under load, beside what this machine could do at best; all in one run.

Writes one JSON object a line to target/bench/results.jsonl (name, value, unit; a comparison adds baseline and ratio,
ours over the baseline in speed, so above 1 is faster) and a table to the screen.

* http_ceiling: the proxy answers a fixed 302, no database. sql_ceiling: pgbench on 2 connections calls record_clicks
  with 100 random clicks a call, from arrays made beforehand. combined_ceiling = 1 / (1 / http + 1 / sql): one machine
  doing both.
* redirect_durable: wrk with 256 connections taps random links out of a million; fsync and synchronous_commit are on,
  and an answer leaves after COMMIT. redirect_unbatched: the same with one click a call, on 16 connections.
* redirect_p99_half_load_ms, redirect_spooled, spool_drained, bytes_per_click, bytes_per_link, idle_10k_rss_mb: latency at
  half the rate, counted from when a tap was due; redirects with the database stopped, and how fast they reach it
  afterwards; bytes on disk; memory with ten thousand idle clients. See resilience.py.
* postback_durable: signed postbacks on 64 connections, each a new conversion of a recorded click.
  postback_duplicate: the same ones again. postback_update: the same with another payout.
* mint_links: seconds for all links in one call whose rows are counted. mint_click_id and verify_signature: calls a
  second in one statement on one core, without reading the arguments, against gen_random_uuid()::text and pgcrypto's
  hmac().
* attribution_last_click, attribution_linear: milliseconds to credit the campaigns for a month of 5,000,000 clicks, see
  attribution.py.
* fraud_precision, fraud_recall, fraud_false_flags, fraud_scan_s: the lowest of the rules on a day of 1,000,000 clicks with known fraud,
  the share of clean traffic that is flagged, and the time of the scan, see fraud.py.
* performance_segment_30d_ms and its relatives: what an analyst waits for a report of that month, see reports.py.
* import_1m_s, reconcile_1m_s, reconcile_cause_accuracy: a network's report of a million rows, see reconcile.py.

A load fails the run when an answer is an error, or when fewer rows are stored than were answered.
"""

import argparse
import json
import sys
import time

from attribution import measure_attribution
from fraud import measure_fraud
from harness import OUTPUT, Cluster, pgbench, running_proxy, seconds_in, wrk
from history import prepare_history
from reconcile import measure_reconciliation
from reports import measure_reports
from resilience import measure_bytes, measure_half_load, measure_idle, measure_spooled

SECRET = "bench-secret-of-32-characters-00"
MICRO_CALLS = 1_000_000


class Results:
    """Keeps the lines, writes them as they come."""

    def __init__(self, name="results.jsonl"):
        OUTPUT.mkdir(parents=True, exist_ok=True)
        self.file = open(OUTPUT / name, "w", encoding="utf-8")
        self.values = {}
        self.lines = []

    def add(self, name, value, unit, baseline=None):
        """A measurement; with a baseline (a name measured before, rates only) also how many times as fast it is."""
        self.values[name] = value
        self._write(name, value, unit, baseline, baseline and value / self.values[baseline])

    def add_duration(self, name, milliseconds, baselines):
        """A duration, and how many times as long each of the baselines (name to milliseconds) takes."""
        for baseline, duration in baselines.items():
            self._write(f"{name}_{baseline}", duration, "ms")
            self._write(name, milliseconds, "ms", baseline, duration / milliseconds)

    def _write(self, name, value, unit, baseline=None, ratio=None):
        line = {"name": name, "value": float(f"{value:.5g}"), "unit": unit}
        if baseline:
            line |= {"baseline": baseline, "ratio": round(ratio, 3)}
        self.lines.append(line)
        self.file.write(json.dumps(line) + "\n")
        self.file.flush()
        comparison = f"{line['ratio']:>9.2f} x {baseline}" if baseline else ""
        print(f"{name:<24}{value:>14,.2f} {unit:<6}{comparison}", flush=True)

    def add_latencies(self, name, load):
        self.add(f"{name}_p50", load["p50_ms"], "ms")
        self.add(f"{name}_p99", load["p99_ms"], "ms")

    def add_load(self, name, load):
        self.add(name, load["rate"], "1/s")
        self.add_latencies(name, load)


def checked(name, load, rows_before, rows_after):
    """The load's figures, if every answer was good and everything that was answered is stored."""
    stored = rows_after - rows_before
    if load["bad_answers"] or load["broken"]:
        raise SystemExit(f"{name}: {load['bad_answers']} bad answers, {load['broken']} broken connections")
    if stored < load["answers"]:
        raise SystemExit(f"{name}: {load['answers']} answered, but only {stored} stored")
    return load


def measure_redirects(cluster, name, seconds, **settings):
    count = "SELECT count(*) FROM postback.clicks"
    cluster.settle()
    with running_proxy(cluster.url, **settings) as address:
        wrk(address, "redirect.lua", OUTPUT / "codes", 2)
        before = int(cluster.value(count))
        load = wrk(address, "redirect.lua", OUTPUT / "codes", seconds)
    return checked(name, load, before, int(cluster.value(count)))


def measure_postbacks(cluster, results, seconds, rehearsal):
    """A short load first gives the rate, so that enough postbacks are prepared for the long one; then its repeats."""
    cluster.sql(
        "SELECT postback.add_network('Bench'); SELECT postback.add_network_secret('bench', 'hmac', :'secret')",
        secret=SECRET,
    )
    wanted = 20_000
    for number, duration in enumerate((rehearsal, seconds)):
        cluster.run_file("prepare_postbacks.sql", postbacks=wanted, secret=SECRET, round=number)
        cluster.write("SELECT query FROM bench_postbacks", OUTPUT / "postbacks")
        load = send_postbacks(cluster, "postback_durable", "accepted", wanted, duration)
        wanted = int(load["rate"] * seconds * 1.5 / 100 + 1) * 100
    results.add_load("postback_durable", load)
    cluster.run_file("prepare_repeats.sql", secret=SECRET)
    repeats = int(cluster.value("SELECT count(*) FROM bench_repeats"))
    for name, verdict in (("duplicate", "duplicate"), ("update", "updated")):
        cluster.write(f"SELECT {name} FROM bench_repeats", OUTPUT / "postbacks")
        results.add_load(f"postback_{name}", send_postbacks(cluster, f"postback_{name}", verdict, repeats, seconds))


def send_postbacks(cluster, name, verdict, prepared, seconds):
    """Sends each of the prepared postbacks once, as far as the time allows; every answer must have left its verdict."""
    count = f"SELECT count(*) FROM postback.postbacks WHERE verdict = '{verdict}'"
    cluster.settle()
    before = int(cluster.value(count))
    with running_proxy(cluster.url) as address:
        load = wrk(address, "postback.lua", OUTPUT / "postbacks", seconds, connections=64)
    # Threads that ran out of postbacks send their last one again while they stop: at most one a connection.
    load["answers"] = min(load["answers"], prepared)
    return checked(name, load, before, int(cluster.value(count)))


def compare_functions(cluster, results, names, expressions, argument, source):
    """Calls a second on one core of a baseline and of ours, without what it takes to read the argument.

    The two take turns, and of five runs the best counts: the disturbances of a machine only ever slow down.
    """
    alone = "SET max_parallel_workers_per_gather = 0; SET jit = off;"
    counted = (argument, *expressions)
    runs = [[cluster.seconds(f"SELECT count({e}) FROM {source};", before=alone) for e in counted] for _ in range(5)]
    reading, *calling = map(min, zip(*runs))
    baseline, ours = (MICRO_CALLS / (seconds - reading) for seconds in calling)
    results.add(names[0], baseline, "1/s")
    results.add(names[1], ours, "1/s", names[0])


def measure_functions(cluster, results):
    compare_functions(
        cluster, results,
        ("gen_random_uuid_text", "mint_click_id"), ("gen_random_uuid()::text", "postback.mint_click_id(number)"),
        "number", f"generate_series(1, {MICRO_CALLS}) AS g (number)",
    )  # fmt: skip
    cluster.run_file("prepare_signatures.sql", secret=SECRET, calls=MICRO_CALLS)
    hmac = f"encode(hmac(query, '{SECRET}', 'sha256'), 'hex') = signature"
    verify = f"postback.verify_signature(query, signature, '{SECRET}')"
    for expression in (hmac, verify):
        if int(cluster.value(f"SELECT count(*) FROM bench_signatures WHERE {expression}")) != MICRO_CALLS:
            raise SystemExit("verify_signature: a right signature was refused")
    compare_functions(
        cluster, results, ("pgcrypto_hmac", "verify_signature"), (hmac, verify), "query", "bench_signatures"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=10, help="length of each load")
    parser.add_argument("--links", type=int, default=1_000_000, help="links to choose from")
    parser.add_argument("--clicks", type=int, default=5_000_000, help="clicks in the month that reports are made of")
    options = parser.parse_args()
    started = time.monotonic()
    results = Results()

    with Cluster() as cluster:
        minting = cluster.run_file("prepare_links.sql", links=options.links)
        results.add("mint_links", seconds_in(minting), "s")
        cluster.write("SELECT code FROM bench_links ORDER BY random()", OUTPUT / "codes")
        cluster.run_file("prepare_batches.sql")
        cluster.sql("VACUUM ANALYZE")

        with running_proxy(fixed_redirect="https://network.example.com/offer/789") as address:
            http = wrk(address, "redirect.lua", OUTPUT / "codes", options.seconds)
        results.add("http_ceiling", http["rate"], "1/s")
        cluster.sql("CHECKPOINT")
        results.add("sql_ceiling", 100 * pgbench(cluster, "record_clicks.sql", options.seconds), "1/s")
        values = results.values
        combined = 1 / (1 / values["http_ceiling"] + 1 / values["sql_ceiling"])
        results.add("combined_ceiling", combined, "1/s")

        unbatched = measure_redirects(
            cluster, "redirect_unbatched", options.seconds, batch_limit=1, click_connections=16
        )
        results.add("redirect_unbatched", unbatched["rate"], "1/s")
        durable = measure_redirects(cluster, "redirect_durable", options.seconds)
        results.add("redirect_durable", durable["rate"], "1/s", "combined_ceiling")
        results.add("redirect_durable", durable["rate"], "1/s", "redirect_unbatched")
        results.add_latencies("redirect_durable", durable)
        measure_half_load(cluster, results, options.seconds)
        measure_spooled(cluster, results, options.seconds)
        measure_bytes(cluster, results)
        measure_idle(results)

        measure_postbacks(cluster, results, options.seconds, rehearsal=3)

        measure_functions(cluster, results)

    # A machine of its own for the reports: the loads above have left other clicks, and their memory is free again.
    with Cluster() as cluster:
        prepare_history(cluster, options.clicks)
        measure_attribution(cluster, results)
        measure_reports(cluster, results, options.clicks)
        measure_reconciliation(cluster, results)
    with Cluster() as cluster:
        measure_fraud(cluster, results)
    print(f"{time.monotonic() - started:.0f} s, {OUTPUT / 'results.jsonl'}")


if __name__ == "__main__":
    sys.exit(main())
