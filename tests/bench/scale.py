#!/usr/bin/env python3
"""`make bench-scale`: what `make bench` measures on a month, on ten times the data and more.

* performance_segment_30d_ms and its relatives with ten times as many clicks on the same sends.
* click_cost_growth_100m: how much longer record_clicks takes for a tap where 100,000,000 clicks are stored than where 1,000,000 are, both over
  thirty days. The two databases take turns, and each turn begins with a checkpoint.

Takes an hour and some 60 GB beside the checkout, which it removes. Where the disk has less room it takes fewer clicks and says so. Lines go
to target/bench/scale.jsonl.
"""

import argparse
import shutil
import statistics
import sys
from concurrent.futures import ThreadPoolExecutor

from harness import DATABASE, OUTPUT, Cluster, pgbench
from history import WORKERS, prepare_history
from reports import measure_reports
from run import Results

# A click of the month has its share of links, conversions and rollups; both have WAL beside them.
BYTES_PER_CLICK_OF_THE_MONTH = 700
BYTES_PER_STORED_CLICK = 480
LEFT_FREE = 20 * 10**9

LARGE = "postback_bench_large"
TURNS = 5
# Long enough that what a checkpoint makes dearer, the first touch of each page, weighs as little as where checkpoints are minutes apart.
SECONDS = 15


def affordable(wanted, bytes_per_click):
    """As many clicks as the disk has room for."""
    OUTPUT.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(OUTPUT).free
    clicks = min(wanted, max(free - LEFT_FREE, 0) // bytes_per_click // 1_000_000 * 1_000_000)
    if clicks < wanted:
        print(f"SCALED DOWN: {free / 1e9:.0f} GB are free, room for {clicks:,} of {wanted:,} clicks", flush=True)
    if clicks == 0:
        raise SystemExit("there is no room on the disk")
    return clicks


def measure_month(results, wanted):
    clicks = affordable(wanted, BYTES_PER_CLICK_OF_THE_MONTH)
    with Cluster() as cluster:
        results.add("clicks", clicks, "")
        prepare_history(cluster, clicks)
        measure_reports(cluster, results, clicks)
        results.add("database_gb", int(cluster.value("SELECT pg_database_size(current_database())")) / 1e9, "GB")
        results.add("rollups_mb", int(cluster.value("SELECT pg_total_relation_size('postback.rollups')")) / 1e6, "MB")


def store_clicks(cluster, database, clicks):
    # Vacuumed once, at the end: autovacuum would take turns with the load, and hold up that one.
    cluster.sql("ALTER SYSTEM SET autovacuum = off")
    cluster.sql("SELECT pg_reload_conf()")
    with ThreadPoolExecutor(WORKERS) as pool:
        parts = [
            pool.submit(cluster.run_file, "prepare_stored_clicks.sql", database, clicks=clicks, worker=worker, workers=WORKERS)
            for worker in range(WORKERS)
        ]
    for part in parts:
        part.result()
    cluster.sql("VACUUM ANALYZE", database)
    cluster.sql("ALTER SYSTEM RESET autovacuum")
    cluster.sql("SELECT pg_reload_conf()")


def measure_click_growth(results, few, wanted):
    many = affordable(wanted, BYTES_PER_STORED_CLICK)
    with Cluster() as cluster:
        cluster.run_file("prepare_links.sql", links=1_000_000)
        cluster.run_file("prepare_batches.sql")
        cluster.sql(
            "SET timezone = 'UTC'; SELECT _postback.ensure_days('clicks', 'clicked_at', day)"
            " FROM generate_series(now() - interval '31 days', now(), '1 day') AS g (day)"
        )
        cluster.sql(f"CREATE DATABASE {LARGE} TEMPLATE {DATABASE}", "postgres")
        store_clicks(cluster, DATABASE, few)
        store_clicks(cluster, LARGE, many)
        results.add("clicks_stored", many, "")
        size = f"SELECT pg_database_size('{LARGE}')"
        results.add("clicks_stored_gb", int(cluster.value(size)) / 1e9, "GB")
        rates = {DATABASE: [], LARGE: []}
        for _ in range(TURNS):
            for database, measured in rates.items():
                cluster.sql("CHECKPOINT")
                measured.append(pgbench(cluster, "record_clicks.sql", SECONDS, database=database))
        growth = statistics.median(rates[DATABASE]) / statistics.median(rates[LARGE])
        results.add("click_cost_growth_100m", growth, "x")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--month", type=int, default=50_000_000, help="clicks in the month that reports are made of; 0: no month")
    parser.add_argument("--stored", type=int, default=100_000_000, help="clicks that are stored when others are recorded; 0: none of that")
    options = parser.parse_args()
    results = Results("scale.jsonl")
    if options.stored:
        measure_click_growth(results, min(1_000_000, options.stored), options.stored)
    if options.month:
        measure_month(results, options.month)


if __name__ == "__main__":
    sys.exit(main())
