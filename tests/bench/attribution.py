"""Who earned the month: our attribution(), a hand-written query on the raw tables and DuckDB, on the same data in one run.

Grouped by campaign and currency, on two threads, warm, the median of five runs. The answers are compared as well: every model
must credit each campaign alike, and all the money must be there.
"""

import json
import pathlib
import statistics
import subprocess
import sys
import venv
from decimal import Decimal

from harness import HERE, OUTPUT

RUNS = 5
# With a worker beside the leader it is two processes; the hand-written queries get the memory that they can use.
TWO_THREADS = "SET max_parallel_workers_per_gather = 1; SET work_mem = '256MB';"

TOUCHES = """
    FROM postback.conversions AS c
    JOIN postback.offers AS o ON o.offer_id = c.offer_id
    JOIN postback.clicks AS k ON k.bucket = c.bucket AND k.subscriber_id = c.subscriber_id AND k.offer_id = c.offer_id
        AND k.visitor = 'human' AND k.clicked_at BETWEEN c.converted_at - o.click_window AND c.converted_at
"""
HAND_WRITTEN = {
    "last_click": f"""
        SELECT campaign_id, currency, count(*), sum(payout) FROM (
            SELECT k.campaign_id, c.currency, c.payout,
                   row_number() OVER (PARTITION BY c.conversion_id ORDER BY k.clicked_at DESC, k.click_id DESC) AS place
            {TOUCHES}) AS t
        WHERE place = 1 GROUP BY campaign_id, currency;""",
    "linear": f"""
        SELECT campaign_id, currency, sum(1 / touches), sum(payout / touches) FROM (
            SELECT k.campaign_id, c.currency, c.payout, count(*) OVER (PARTITION BY c.conversion_id)::numeric AS touches
            {TOUCHES}) AS t
        GROUP BY campaign_id, currency;""",
}
# What DuckDB gets: the columns that its queries read.
EXPORTS = {
    "clicks": "SELECT clicked_at AT TIME ZONE 'UTC', subscriber_id, offer_id, campaign_id, visitor FROM postback.clicks",
    "conversions": "SELECT conversion_id, converted_at AT TIME ZONE 'UTC', subscriber_id, offer_id, payout, currency FROM postback.conversions",
    "offers": "SELECT offer_id, extract(epoch FROM click_window)::bigint FROM postback.offers",
}


def ours(model):
    return f"""
        SELECT campaign_id, currency, sum(credit), sum(revenue) FROM postback.attribution('{model}')
        GROUP BY campaign_id, currency;"""


def measure_attribution(cluster, results):
    for name, query in EXPORTS.items():
        cluster.export_csv(query, OUTPUT / f"{name}.csv")
    duckdb = json.loads(run_duckdb())
    for model, by_hand in HAND_WRITTEN.items():
        measured, credits = run_in_postgres(cluster, ours(model))
        baselines = {}
        baselines["hand_written"], expected = run_in_postgres(cluster, by_hand)
        baselines["duckdb"] = duckdb[model]["ms"]
        compare(f"{model}, by hand", credits, expected)
        compare(f"{model}, DuckDB", credits, by_campaign(duckdb[model]["rows"]))
        results.add_duration(f"attribution_{model}", measured, baselines)


def run_in_postgres(cluster, query):
    """Milliseconds, and the rows of the last run."""
    lines = cluster.sql(TWO_THREADS + query + "\n\\timing on\n" + query * RUNS)
    times = [float(line.split()[1]) for line in lines if line.startswith("Time: ")]
    rows = [line.split("|") for line in lines if not line.startswith("Time: ")]
    return statistics.median(times), by_campaign(rows[-(len(rows) // (RUNS + 1)) :])


def by_campaign(rows):
    return {(str(campaign), currency): (Decimal(credit), Decimal(revenue)) for campaign, currency, credit, revenue in rows}


def run_duckdb():
    """DuckDB comes from PyPI into an environment of the benchmark's own."""
    python, ready = OUTPUT / "venv/bin/python", OUTPUT / "venv/ready"
    requirements = HERE / "requirements.txt"
    if not ready.exists() or ready.stat().st_mtime < requirements.stat().st_mtime:
        venv.create(OUTPUT / "venv", with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", requirements], check=True)
        ready.touch()
    command = [python, "-B", HERE / "attribution_duckdb.py", OUTPUT, str(RUNS)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def compare(name, credits, expected):
    """Sums must be equal. A campaign may differ by rounding: our credits are decimals and our money is whole cents for each touch."""
    if credits.keys() != expected.keys():
        raise SystemExit(f"{name}: other campaigns: {credits.keys() ^ expected.keys()}")
    worst = [Decimal(0), Decimal(0)]
    total = [Decimal(0), Decimal(0)]
    for key, pair in credits.items():
        for measure in (0, 1):
            difference = pair[measure] - expected[key][measure]
            worst[measure] = max(worst[measure], abs(difference))
            total[measure] += difference
    conversions = sum(credit for credit, _ in credits.values())
    if abs(total[0]) > Decimal("0.001") or abs(total[1]) > Decimal("0.01") or worst[0] > Decimal("0.1") or worst[1] > 10:
        raise SystemExit(f"{name}: the answers differ, at a campaign by up to {worst[0]} credits and {worst[1]} money")
    print(f"{name}: {conversions:.0f} conversions, {len(credits)} groups, differing by {worst[0]:.6f} credits and {worst[1]:.2f} money at most")
