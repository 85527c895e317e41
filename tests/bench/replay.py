#!/usr/bin/env python3
"""Replays real hits through the proxy, one link each, and reports what became of them.

The file has one hit a line, tabs between: time, client address, method, referrer, user agent; gzip if it ends in .gz.
Each hit taps a link of its own through a trusted hop, with its address in X-Forwarded-For. Reported: answers by method
and status, hits by visitor class, human clicks that nobody can attribute, and with --agents N the N most frequent user
agents of each class.

    python3 tests/bench/replay.py hits.tsv.gz [--concurrency 32] [--agents 10]
"""

import argparse
import collections
import concurrent.futures
import csv
import gzip
import http.client
import sys
import threading

from harness import OUTPUT, Cluster, running_proxy

# What a hit on a link must leave: one row per GET and HEAD, with the address and user agent that it came with.
MISMATCHES = """
    SELECT count(*) FROM bench_hits AS h
    LEFT JOIN postback.links AS l ON l.subscriber_id = h.number
    LEFT JOIN postback.clicks AS c ON c.link_id = l.link_id
    WHERE h.method IN ('GET', 'HEAD')
      AND (c.ip_address IS DISTINCT FROM h.address::inet OR c.method IS DISTINCT FROM h.method
           OR coalesce(c.user_agent, '') IS DISTINCT FROM left(h.user_agent, 1024))"""
CLASSES = """
    SELECT visitor, count(*), round(100.0 * count(*) / sum(count(*)) OVER (), 2)
    FROM postback.clicks GROUP BY visitor ORDER BY count(*) DESC"""
UNATTRIBUTABLE = """
    SELECT count(*) FROM postback.clicks
    WHERE visitor = 'human'
      AND (send_id IS NULL OR campaign_id IS NULL OR offer_id IS NULL OR subscriber_id IS NULL OR ip_address IS NULL)"""
AGENTS = """
    SELECT visitor, hits, user_agent FROM (
        SELECT visitor, user_agent, count(*) AS hits,
               row_number() OVER (PARTITION BY visitor ORDER BY count(*) DESC, user_agent) AS place
        FROM postback.clicks GROUP BY visitor, user_agent) AS ranked
    WHERE place <= :agents ORDER BY visitor, place"""


def read_hits(path):
    opener = gzip.open if path.endswith(".gz") else open
    with opener(path, "rt", encoding="utf-8", errors="surrogateescape", newline="\n") as lines:
        return [line.rstrip("\n").split("\t") for line in lines]


def unset(value):
    """Access logs write a dash for a header that was not sent."""
    return "" if value == "-" else value


class Replayer:
    """Sends hits; each thread keeps one connection."""

    def __init__(self, address):
        self.address = address
        self.local = threading.local()

    def send(self, hit, code):
        """The status of the answer, or the name of what went wrong."""
        _, client, method, referrer, agent = hit
        sent = {"X-Forwarded-For": client, "Referer": unset(referrer), "User-Agent": unset(agent)}
        headers = {name: value.encode("utf-8", "surrogateescape") for name, value in sent.items() if value}
        if not hasattr(self.local, "connection"):
            self.local.connection = http.client.HTTPConnection(self.address, timeout=30)
        try:
            self.local.connection.request(method, f"/{code}", headers=headers)
            response = self.local.connection.getresponse()
            response.read()
            return str(response.status)
        except (OSError, http.client.HTTPException) as error:
            # The next request opens the connection again.
            self.local.connection.close()
            return type(error).__name__


def prepare(cluster, hits):
    """One subscriber and link per hit; the codes in the order of the hits."""
    cluster.run_file("prepare_links.sql", links=len(hits))
    path = OUTPUT / "hits.csv"
    with open(path, "w", encoding="utf-8", errors="surrogateescape", newline="") as output:
        rows = csv.writer(output)
        rows.writerows((number, hit[1], hit[2], unset(hit[4])) for number, hit in enumerate(hits, start=1))
    cluster.sql(
        "CREATE TABLE bench_hits (number bigint, address text, method text, user_agent text);\n"
        f"\\copy bench_hits FROM '{path}' (FORMAT csv, FORCE_NOT_NULL (user_agent))"
    )
    return cluster.sql("SELECT code FROM bench_links ORDER BY subscriber_id")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file")
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--agents", type=int, default=0, help="user agents to list for each class")
    options = parser.parse_args()
    hits = read_hits(options.file)

    with Cluster() as cluster:
        codes = prepare(cluster, hits)
        with running_proxy(cluster.url, trusted_proxies="127.0.0.1/32") as address:
            replayer = Replayer(address)
            with concurrent.futures.ThreadPoolExecutor(options.concurrency) as pool:
                answers = list(pool.map(replayer.send, hits, codes))
        print(f"hits {len(hits)}, answers {sum(answer.isdigit() for answer in answers)}")
        for (method, answer), count in sorted(collections.Counter(zip((h[2] for h in hits), answers)).items()):
            print(f"  {method:<8}{answer:<6}{count:>7}")
        print("visitors")
        for row in cluster.sql(CLASSES):
            visitor, count, share = row.split("|")
            print(f"  {visitor:<14}{count:>7}{share:>8} %")
        if options.agents:
            print("user agents")
            for row in cluster.sql(AGENTS, agents=options.agents):
                visitor, count, agent = row.split("|", 2)
                print(f"  {visitor:<12}{count:>6}  {agent}")
        unattributable = int(cluster.value(UNATTRIBUTABLE))
        mismatches = int(cluster.value(MISMATCHES))
    print(f"unattributable human clicks {unattributable}, hits stored otherwise than sent {mismatches}")
    return 1 if unattributable or mismatches or not all(answer.isdigit() for answer in answers) else 0


if __name__ == "__main__":
    sys.exit(main())
