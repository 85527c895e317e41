"""What the proxy has the extension do each minute: each task by itself."""

import json

from support import connect, database_url, wait_until

ROUND = 90.0  # seconds within which the next round has come


def failures(proxy):
    lines = [json.loads(line) for line in proxy.log.splitlines()]
    return [line for line in lines if "maintenance failed" in json.dumps(line)]


def test_a_task_that_fails_keeps_no_other_and_is_logged_once(start_proxy, databases):
    name = databases.create()
    with connect(name) as database, connect(name) as other:
        # What the tasks before and after it do.
        missing = database.execute("SELECT to_char(now() AT TIME ZONE 'UTC' + interval '3 days', '\"postback.clicks_\"YYYYMMDD')").fetchone()[0]
        database.execute(f"DROP TABLE {missing}")
        scanned = "SELECT scanned_until FROM _postback.fraud_state WHERE rule = 'datacenter_click'"
        before = database.execute(scanned).fetchone()[0]
        with other.transaction():
            other.execute("LOCK TABLE _postback.settling IN ACCESS EXCLUSIVE MODE")
            proxy = start_proxy(database_url(database))
            wait_until(lambda: failures(proxy), "a task has failed")
            wait_until(lambda: database.execute(scanned).fetchone()[0] > before, "a task behind it is committed")
            assert database.execute("SELECT to_regclass(%s) IS NOT NULL", [missing]).fetchone() == (True,)
            first = database.execute(scanned).fetchone()[0]
            wait_until(lambda: database.execute(scanned).fetchone()[0] > first, "the next round has come", ROUND)
        (failure,) = failures(proxy)
        assert '"task": "paths_settled"' in json.dumps(failure)
        assert "55P03" in json.dumps(failure)
