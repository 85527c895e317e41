"""An incident from the request that shows it to the people who are told: a row, a notification, and a request to their own system."""

import json
import re

import psycopg
from support import REPOSITORY, database_url, wait_until

# What docs/trust.md tells people to send to theirs.
BODY = re.search(r"body_template => '(.*?)'\);", (REPOSITORY / "docs/trust.md").read_text(encoding="utf-8"), re.DOTALL)[1]


def test_incident_is_told_once_when_it_begins_and_once_when_it_ends(outbound):
    receiver = outbound.receiver()
    ops = outbound.add("ops", receiver.url("/hook"), events=["alert"], method="POST", body_template=BODY)
    sales = outbound.add("sales", receiver.url("/sales"))
    outbound.connection.execute("SELECT postback.add_network('guarded'), postback.add_network_secret('guarded', 'token', 'token-of-16-bytes-')")
    # Nothing is known of earlier days here.
    outbound.connection.execute("UPDATE postback.alert_rules SET baseline_days = 0 WHERE name = 'refused_postbacks'")
    proxy = outbound.start()
    for number in range(12):
        assert proxy.get(f"/postback/guarded?click_id=c1&payout=1&token=guessed-{number}").status == 403
    with psycopg.connect(database_url(outbound.connection), autocommit=True) as listener:
        listener.execute("LISTEN postback_alerts")
        for rounds in range(2):
            alerts = outbound.connection.execute("SELECT alert, subject, status FROM postback.check_alerts()").fetchall()
            assert alerts == ([] if rounds else [("refused_postbacks", "network guarded", "raised")])
        outbound.wait_for(ops, "delivered", 1)
        outbound.connection.execute("UPDATE postback.alert_rules SET enabled = false WHERE name = 'refused_postbacks'")
        for _ in range(2):
            outbound.connection.execute("SELECT postback.check_alerts()")
        outbound.wait_for(ops, "delivered", 2)
        told = [json.loads(notify.payload) for notify in listener.notifies(timeout=15, stop_after=2)]
    alert = outbound.value("SELECT alert_id FROM postback.alerts WHERE resolved_at IS NOT NULL")
    message = "refused share of network guarded is 1"
    assert [json.loads(request.body) for request in receiver.requests] == [
        {"text": f"critical {status}: {message}", "alert": "refused_postbacks", "about": "network guarded", "id": alert}
        for status in ("raised", "resolved")
    ]
    assert [(one["status"], one["alert_id"], one["message"]) for one in told] == [("raised", alert, message), ("resolved", alert, message)]
    assert outbound.deliveries(sales, "1") == []


def test_proxy_looks_for_alerts_by_itself(outbound, tmp_path):
    # Of another proxy: five waiting requests are an incident here.
    outbound.connection.execute("UPDATE postback.alert_rules SET threshold = 5, duration = '1 day' WHERE name = 'spool_fills'")
    outbound.connection.execute("SELECT postback.report_spool('127.0.0.1:1', 5, 500, clock_timestamp())")
    outbound.start(spool=tmp_path / "spool")
    sql = "SELECT count(*) FROM postback.alerts WHERE kind = 'spool_fills' AND subject = 'proxy 127.0.0.1:1'"
    wait_until(lambda: outbound.value(sql) == 1, "maintain() has looked")
