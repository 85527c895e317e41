"""What attribution.py asks of DuckDB: the last click by an ASOF join, linear credit by a join and a window. Arguments: a directory with
the tables as CSV, and how many runs to take the median of. Prints JSON: for each model the milliseconds and the rows."""

import json
import statistics
import sys
import time

import duckdb

QUERIES = {
    "last_click": """
        SELECT k.campaign_id, c.currency, count(*), count(*), sum(c.payout)
        FROM conversions AS c
        ASOF JOIN (SELECT * FROM clicks WHERE visitor = 'human') AS k
            ON k.subscriber_id = c.subscriber_id AND k.offer_id = c.offer_id AND c.converted_at >= k.clicked_at
        JOIN offers AS o ON o.offer_id = c.offer_id
        WHERE k.clicked_at >= c.converted_at - o.click_window
        GROUP BY ALL""",
    "linear": """
        SELECT campaign_id, currency, count(*), sum(1 / touches), sum(payout / touches)
        FROM (
            SELECT k.campaign_id, c.currency, c.payout, count(*) OVER (PARTITION BY c.conversion_id) AS touches
            FROM conversions AS c
            JOIN offers AS o ON o.offer_id = c.offer_id
            JOIN clicks AS k ON k.subscriber_id = c.subscriber_id AND k.offer_id = c.offer_id AND k.visitor = 'human'
                AND k.clicked_at BETWEEN c.converted_at - o.click_window AND c.converted_at)
        GROUP BY ALL""",
}


def load(database, directory):
    database.execute("""
        CREATE TYPE visitor AS ENUM ('human', 'preview', 'prefetch', 'head', 'bot', 'datacenter', 'suspect');
        CREATE TABLE clicks (clicked_at timestamp, subscriber_id bigint, offer_id bigint, campaign_id bigint, visitor visitor);
        CREATE TABLE conversions (
            conversion_id uuid, converted_at timestamp, subscriber_id bigint, offer_id bigint, payout decimal(18, 4), currency text);
        CREATE TABLE windows (offer_id bigint, seconds bigint);
    """)
    for table, name in (("clicks", "clicks"), ("conversions", "conversions"), ("windows", "offers")):
        database.execute(f"COPY {table} FROM '{directory}/{name}.csv' (FORMAT csv, HEADER false)")
    database.execute("CREATE TABLE offers AS SELECT offer_id, to_seconds(seconds) AS click_window FROM windows")


def measure(database, query, runs):
    times = []
    for _ in range(runs + 1):
        started = time.perf_counter()
        rows = database.execute(query).fetchall()
        times.append((time.perf_counter() - started) * 1000)
    return {"ms": statistics.median(times[1:]), "rows": [list(map(str, row)) for row in rows]}


def main():
    directory, runs = sys.argv[1], int(sys.argv[2])
    with duckdb.connect(config={"threads": 2}) as database:
        load(database, directory)
        print(json.dumps({model: measure(database, query, runs) for model, query in QUERIES.items()}))


if __name__ == "__main__":
    main()
