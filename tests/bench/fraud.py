"""How well fraud rules tell fraud from traffic: precision and recall of each on a day of clicks with known fraud in it.

The clean traffic has the shape of a real log (few user agents that make most hits, machines that say so, HEADs, second taps) behind
the addresses of carriers, on which thousands share an address. Each kind of fraud is planted among it, and beside it clean twins: people
next door to a data centre, who tap ten times, whose network's clock is off, a send to one carrier alone or to another country. What is planted
follows from the seed. The rules have their defaults.

Recall of a rule: the share of what was planted for it that it names. Precision: the share of what it names that was planted, for whatever
rule. Rules about groups are judged by the groups, the others by clicks, conversions or postbacks. False flags: the share of clean
clicks and conversions that any flag names.
"""

CLICKS = 1_000_000
SCAN = "SELECT sum(items) FROM postback.fraud_scan('2026-03-10', '2026-03-11 06:00+00');"
# One row a rule: planted, found of them, named, rightly named.
SCORES = """
    WITH truth (rule, item) AS (
        SELECT planted, click_id FROM sim_clicks WHERE planted IN ('datacenter_click', 'address_fan_out', 'click_flood', 'perfect_interval')
        UNION SELECT 'fast_conversion', conversion_id FROM sim_answers WHERE planted = 'fast_conversion' AND verdict = 'accepted'
        UNION SELECT 'transaction_reuse', v.conversion_id FROM sim_answers AS m JOIN sim_answers AS v ON v.conversion = m.conversion AND v.verdict = 'accepted'
        WHERE m.planted = 'transaction_reuse'
        UNION SELECT 'spoofed_postbacks', postback_id FROM postback.postbacks WHERE query LIKE 'click_id=x%'
        UNION SELECT CASE WHEN send_id < 210 THEN 'device_diversity' WHEN send_id < 220 THEN 'conversion_rate' WHEN send_id > 230 THEN 'geo_anomaly' ELSE 'reversal_rate' END, k.kind || ' ' || k.number
        FROM sim_sends CROSS JOIN LATERAL (VALUES ('send', send_id), ('partner', partner_id)) AS k (kind, number) WHERE planted IS NOT NULL
    ), named (rule, item) AS (
        SELECT DISTINCT i.rule, i.item FROM _postback.flag_items AS i
        WHERE i.kind = CASE WHEN i.rule IN ('fast_conversion', 'transaction_reuse') THEN 'conversion' WHEN i.rule = 'spoofed_postbacks' THEN 'postback' ELSE 'click' END
        UNION SELECT f.rule, f.subject_kind || ' ' || f.subject FROM postback.flags AS f WHERE f.subject_kind IN ('send', 'partner') OR f.subject_kind = 'network' AND f.rule <> 'spoofed_postbacks'
    )
    SELECT r.rule, p.n, coalesce(f.n, 0), coalesce(m.n, 0), coalesce(y.n, 0)
    FROM postback.fraud_rules AS r
    JOIN (SELECT rule, count(*) AS n FROM truth GROUP BY rule) AS p ON p.rule = r.rule
    LEFT JOIN (SELECT rule, count(*) AS n FROM truth JOIN named USING (rule, item) GROUP BY rule) AS f ON f.rule = r.rule
    LEFT JOIN (SELECT rule, count(*) AS n FROM named GROUP BY rule) AS m ON m.rule = r.rule
    LEFT JOIN (SELECT rule, count(*) AS n FROM named WHERE item IN (SELECT item FROM truth) GROUP BY rule) AS y ON y.rule = r.rule
    ORDER BY r.rule"""
FALSE_FLAGS = """
    SELECT (SELECT count(*) FROM sim_clicks AS c WHERE c.planted IS NULL AND c.click_id IN (SELECT i.item FROM _postback.flag_items AS i WHERE i.kind = 'click'))
         + (SELECT count(*) FROM sim_answers AS a WHERE a.planted IS NULL AND a.verdict = 'accepted'
            AND a.conversion NOT IN (SELECT m.conversion FROM sim_answers AS m WHERE m.planted IS NOT NULL AND m.conversion IS NOT NULL)
            AND a.conversion_id IN (SELECT i.item FROM _postback.flag_items AS i WHERE i.kind = 'conversion')),
        (SELECT count(*) FROM sim_clicks WHERE planted IS NULL) + (SELECT count(*) FROM sim_answers WHERE planted IS NULL AND verdict = 'accepted')"""


def measure_fraud(cluster, results, clicks=CLICKS, seed=1):
    cluster.run_file("prepare_fraud.sql", clicks=clicks, seed=seed)
    cluster.sql("UPDATE postback.fraud_rules SET enabled = true")
    results.add("fraud_scan_s", cluster.seconds(SCAN), "s")
    if cluster.value(SCAN) != "0":
        raise SystemExit("fraud_scan: a second scan of the same day found something new")
    precisions, recalls = [], []
    for row in cluster.sql(SCORES):
        rule, *counts = row.split("|")
        planted, found, named, right = map(int, counts)
        precisions.append(right / named if named else 0)
        recalls.append(found / planted)
        print(f"  {rule:<18} planted {planted:>5}, found {found:>5}; named {named:>5}, rightly {right:>5}", flush=True)
    flagged, clean = map(int, cluster.sql(FALSE_FLAGS)[-1].split("|"))
    results.add("fraud_precision", min(precisions), "")
    results.add("fraud_recall", min(recalls), "")
    results.add("fraud_false_flags", 100 * flagged / clean, "%")
