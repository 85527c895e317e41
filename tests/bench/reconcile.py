"""A network's report of a million rows, five in a hundred of them apart from the conversions, each with a cause that is known."""

import subprocess
import time

from harness import OUTPUT, REPOSITORY

# Of each planted discrepancy, whether it was found with its kind and cause; and what was found that nobody planted.
CHECK = """
    WITH found AS (SELECT DISTINCT d.transaction_id, d.kind, d.cause FROM postback.discrepancies AS d)
    SELECT count(*) FILTER (WHERE p.transaction_id IS NOT NULL), count(*) FILTER (WHERE f.transaction_id IS NOT NULL AND p.transaction_id IS NOT NULL),
           (SELECT count(*) FROM postback.discrepancies AS d WHERE NOT EXISTS (
               SELECT FROM bench_planted AS w WHERE w.transaction_id = d.transaction_id AND w.kind = d.kind))
    FROM bench_planted AS p FULL JOIN found AS f USING (transaction_id, kind, cause)"""


def measure_reconciliation(cluster, results, rows=1_000_000, seed=1):
    """Imports the report with the program and reconciles it; fails when a discrepancy was invented."""
    cluster.run_file("prepare_report.sql", rows=rows, seed=seed)
    path = OUTPUT / "report.csv"
    cluster.export_csv("SELECT * FROM bench_report", path, header=True)
    cluster.sql("CHECKPOINT")

    command = [REPOSITORY / "target/release/postback-proxy", "import-report", path, "--network", "report"]
    started = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=cluster.environment | {"POSTBACK_DATABASE_URL": cluster.url})
    results.add("import_1m_s", time.monotonic() - started, "s")
    path.unlink()

    reconcile = "SELECT * FROM postback.reconcile((SELECT max(import_id) FROM postback.report_imports));"
    results.add("reconcile_1m_s", cluster.seconds(reconcile), "s")
    planted, right, invented = map(int, cluster.sql(CHECK)[-1].split("|"))
    if invented:
        raise SystemExit(f"reconcile: {invented} discrepancies that nobody planted")
    results.add("reconcile_cause_accuracy", right / planted, "share")
