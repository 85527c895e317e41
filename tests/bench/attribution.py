"""Who earned the month: our attribution(), a hand-written query on the raw tables and DuckDB, on the same data in one run.

Grouped by campaign and currency, on two threads, warm, the median of five runs. The answers are compared as well: as many touches
and as much credit for each campaign, and all the money.
"""

import json
import statistics
import subprocess
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
        SELECT campaign_id, currency, count(*), count(*), sum(payout) FROM (
            SELECT k.campaign_id, c.currency, c.payout,
                   row_number() OVER (PARTITION BY c.conversion_id ORDER BY k.clicked_at DESC, k.click_id DESC) AS place
            {TOUCHES}) AS t
        WHERE place = 1 GROUP BY campaign_id, currency;""",
    "linear": f"""
        SELECT campaign_id, currency, count(*), sum(1 / touches), sum(payout / touches) FROM (
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
        SELECT campaign_id, currency, count(*), sum(credit), sum(revenue) FROM postback.attribution('{model}')
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
    """(campaign, currency) to touches, credit, revenue."""
    return {(str(row[0]), row[1]): tuple(map(Decimal, row[2:])) for row in rows}


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
    """Touches must be equal and sums too. A campaign may differ by rounding: DuckDB's are floats, and our money is whole in the
    smallest unit of its currency for each touch, which may be off by one of these."""
    if credits.keys() != expected.keys():
        raise SystemExit(f"{name}: other campaigns: {credits.keys() ^ expected.keys()}")
    differences = {key: [ours - theirs for ours, theirs in zip(credits[key], expected[key])] for key in credits}
    for (campaign, currency), (touches, credit, revenue) in differences.items():
        allowed = credits[campaign, currency][0]
        unit = 1 if currency == "JPY" else Decimal("0.01")
        if touches or abs(credit) > allowed / 1_000_000 or abs(revenue) > allowed * unit:
            raise SystemExit(f"{name}: campaign {campaign} differs by {touches} touches, {credit} credits, {revenue} {currency}")
    _, credit, revenue = (abs(sum(measure)) for measure in zip(*differences.values()))
    if credit > Decimal("0.001") or revenue > Decimal("0.01"):
        raise SystemExit(f"{name}: all together differ by {credit} credits and {revenue} money")
    worst = [max(abs(difference[measure]) for difference in differences.values()) for measure in (1, 2)]
    print(f"{name}: {len(credits)} groups, differing by {worst[0]:.6f} credits and {worst[1]:.4f} money at most", flush=True)
