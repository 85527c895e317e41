"""A month of business to make reports of: by default 5,000,000 hits of 1,000,000 subscribers, 150,000 conversions.

Hits begin on 2026-03-01 (UTC) and end with the 30th. Who taps often, when, with which device and what converts follow from
a hash of the seed; only the random bits of the ids differ from run to run. The conversions come in through receive_postbacks(),
so that all is there that follows from them.
"""

from concurrent.futures import ThreadPoolExecutor

WORKERS = 2


def prepare_history(cluster, clicks=5_000_000, seed=1):
    """Any number of clicks, with a fifth as many subscribers and 3 conversions to 100 clicks; the machine has two cores."""
    cluster.run_file("prepare_history.sql", clicks=clicks)
    for step in ("prepare_history_clicks.sql", "prepare_history_conversions.sql"):
        with ThreadPoolExecutor(WORKERS) as pool:
            parts = [
                pool.submit(cluster.run_file, step, clicks=clicks, seed=seed, worker=worker, workers=WORKERS)
                for worker in range(WORKERS)
            ]
        for part in parts:
            part.result()
    cluster.sql("VACUUM ANALYZE")
    wanted, stored = clicks * 3 // 100, int(cluster.value("SELECT count(*) FROM postback.conversions"))
    if stored != wanted:
        raise SystemExit(f"the month has {stored} conversions, not {wanted}")
