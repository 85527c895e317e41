#!/usr/bin/env python3
"""`make bench-scale`: the reports of `make bench` with ten times as many clicks, on the same sends.

Takes half an hour and some 35 GB beside the checkout, which it removes. Where the disk has less room it takes fewer clicks and
says so. Lines go to target/bench/scale.jsonl.
"""

import argparse
import shutil
import sys

from harness import OUTPUT, Cluster
from history import prepare_history
from reports import measure_reports
from run import Results

BYTES_PER_CLICK = 700
LEFT_FREE = 20 * 10**9


def affordable(wanted):
    """As many clicks as the disk has room for."""
    OUTPUT.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(OUTPUT).free
    clicks = min(wanted, max(free - LEFT_FREE, 0) // BYTES_PER_CLICK // 1_000_000 * 1_000_000)
    if clicks < wanted:
        print(f"SCALED DOWN: {free / 1e9:.0f} GB are free, room for {clicks:,} of {wanted:,} clicks", flush=True)
    if clicks == 0:
        raise SystemExit("there is no room on the disk")
    return clicks


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clicks", type=int, default=50_000_000)
    clicks = affordable(parser.parse_args().clicks)
    results = Results("scale.jsonl")
    with Cluster() as cluster:
        results.add("clicks", clicks, "")
        prepare_history(cluster, clicks)
        measure_reports(cluster, results, clicks)
        results.add("database_gb", int(cluster.value("SELECT pg_database_size(current_database())")) / 1e9, "GB")
        results.add("rollups_mb", int(cluster.value("SELECT pg_total_relation_size('postback.rollups')")) / 1e6, "MB")


if __name__ == "__main__":
    sys.exit(main())
