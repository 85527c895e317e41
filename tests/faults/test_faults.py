"""Faults under load, with a spool: nothing that was acked is lost, nothing is stored twice, nobody is turned away."""

import os
import signal

from ledger import Ledger, kind_of
from liar import Liar
from support import wait_until


def most_in_flight(ledger):
    """When a proxy ends, each client may have a request in flight, and one more on a connection that nobody accepted."""
    return 2 * len(ledger.threads)


def test_killed_postmaster(under_load):
    def fault(machine, ledger, chance):
        machine.cluster.kill_postmaster()
        wait_until(ledger.has_acked_more(chance.randint(50, 500)), "the spool takes requests")
        machine.cluster.start()

    machine, _, outcome = under_load(fault)
    assert outcome.unknown == 0
    assert machine.proxy.metric("spooled_total") > 0, "nothing was spooled: the fault tested nothing"


def test_killed_backend(under_load):
    def fault(machine, ledger, chance):
        machine.cluster.kill_backend()
        wait_until(ledger.has_acked_more(chance.randint(50, 500)), "requests are taken")

    machine, _, outcome = under_load(fault)
    assert outcome.unknown == 0
    assert machine.proxy.metric("database_errors_total") > 0, "nothing failed: the fault tested nothing"


def test_database_that_begins_to_forget(start_machine):
    machine = start_machine(allow_unsafe="off")
    proxy, tap = machine.proxy, f"/{machine.campaign.codes[1]}"
    with machine.connect() as database:
        setting = f"ALTER DATABASE {machine.database} {{}} synchronous_commit"
        database.execute(f"{setting.format('SET')} = off")
        database.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'postback-proxy'")
        wait_until(lambda: proxy.get(tap).status == 302 and proxy.metric("spooled_total") > 0, "taps go into the spool")
        wait_until(lambda: "synchronous_commit=off" in proxy.log, "the reason is told")
        stored = database.execute("SELECT count(*) FROM postback.clicks").fetchone()[0]
        taps = [proxy.get(tap).status for _ in range(5)]
        assert (taps, database.execute("SELECT count(*) FROM postback.clicks").fetchone()[0]) == ([302] * 5, stored)
        database.execute(setting.format("RESET"))
        wait_until(machine.is_well, "the database is used again")
        assert database.execute("SELECT count(*) FROM postback.clicks").fetchone()[0] >= stored + 5


def test_database_that_is_reloaded_to_forget(start_machine):
    machine = start_machine(allow_unsafe="off")
    proxy, tap = machine.proxy, f"/{machine.campaign.codes[1]}"
    with machine.connect() as database:
        database.execute("ALTER SYSTEM SET synchronous_commit = off")
        try:
            database.execute("SELECT pg_reload_conf()")
            wait_until(lambda: proxy.get(tap).status == 302 and proxy.metric("spooled_total") > 0, "taps go into the spool")
            assert "synchronous_commit=off" in proxy.log
            stored = database.execute("SELECT count(*) FROM postback.clicks").fetchone()[0]
            taps = [proxy.get(tap).status for _ in range(5)]
            assert (taps, database.execute("SELECT count(*) FROM postback.clicks").fetchone()[0]) == ([302] * 5, stored)
        finally:
            database.execute("ALTER SYSTEM RESET synchronous_commit")
            database.execute("SELECT pg_reload_conf()")
        wait_until(machine.is_well, "the database is used again")
        assert database.execute("SELECT count(*) FROM postback.clicks").fetchone()[0] >= stored + 5


def test_killed_proxy(under_load):
    def fault(machine, ledger, chance):
        machine.kill_proxy()
        machine.restart_proxy()

    _, ledger, outcome = under_load(fault)
    assert 0 < outcome.unknown <= most_in_flight(ledger)


def test_killed_proxy_and_postmaster(under_load):
    def fault(machine, ledger, chance):
        kills = [machine.cluster.kill_postmaster, machine.kill_proxy]
        chance.shuffle(kills)
        kills[0]()
        if chance.random() < 0.5 and kills[0] != machine.kill_proxy:
            wait_until(ledger.has_acked_more(chance.randint(1, 300)), "the spool takes requests")
        kills[1]()
        machine.restart_proxy()
        wait_until(ledger.has_acked_more(chance.randint(50, 300)), "a proxy that starts without a database redirects")
        machine.cluster.start()

    machine, ledger, outcome = under_load(fault)
    assert outcome.unknown <= most_in_flight(ledger)
    assert machine.proxy.metric("drained_total") > 0


def test_stopped_database_and_restarted_proxy(under_load):
    def fault(machine, ledger, chance):
        machine.cluster.stop()
        wait_until(ledger.has_acked_more(chance.randint(500, 1500)), "the spool takes requests")
        assert machine.proxy.admin("/readyz").text.startswith("spooling")
        machine.proxy.stop()
        machine.restart_proxy()
        wait_until(ledger.has_acked_more(chance.randint(500, 1500)), "the restarted proxy redirects without a database")
        assert machine.proxy.metric("spool_records") > 0
        machine.cluster.start()

    _, ledger, outcome = under_load(fault)
    assert outcome.unknown <= most_in_flight(ledger)


def test_sigterm(under_load):
    def fault(machine, ledger, chance):
        assert machine.proxy.stop() == 0
        machine.restart_proxy()

    _, ledger, outcome = under_load(fault)
    assert outcome.unknown <= most_in_flight(ledger)


def test_frozen_database(under_load):
    def fault(machine, ledger, chance):
        frozen = machine.cluster.freeze()
        try:
            wait_until(ledger.has_acked_more(chance.randint(500, 1500)), "the spool takes requests")
        finally:
            machine.cluster.thaw(frozen)

    machine, _, outcome = under_load(fault)
    assert outcome.unknown == 0
    assert outcome.longest_stall < 2 * 1.0 + 1.0, "patience twice, and the spool"
    assert machine.proxy.metric("spooled_total") > 0


def test_control_an_early_ack_is_found_out(start_machine, seed, record):
    """A middle man who acks before the proxy has the request: the harness must see what he loses."""
    machine = start_machine()
    with Liar(machine.proxy.listen) as liar:
        ledger = Ledger(machine, seed, liar.listen)
        try:
            wait_until(lambda: liar.forwarded > 200, "the load is running")
            os.kill(machine.proxy.process.pid, signal.SIGSTOP)
            wait_until(ledger.has_acked_more(50), "requests are acked that nobody took")
            machine.kill_proxy()
        finally:
            ledger.end()
    machine.restart_proxy()
    wait_until(machine.is_well, "the spool is empty", seconds=90)
    with machine.connect() as database:
        outcome = ledger.compare(database)
    record(outcome, 0.0)
    assert outcome.lost > 0
    assert not outcome.holds()


def test_control_a_commit_that_is_not_flushed_is_found_out(start_machine, seed, record):
    """A database that answers before its log is on disk: the harness must see what a crash takes away."""
    machine = start_machine()
    with machine.connect() as database:
        database.execute(f"ALTER DATABASE {machine.database} SET synchronous_commit = off")
        database.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'postback-proxy'")
        wal_writer = database.execute("SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'").fetchone()[0]
    ledger = Ledger(machine, seed)
    try:
        wait_until(ledger.has_acked_more(200), "the load is running")
        os.kill(wal_writer, signal.SIGSTOP)
        wait_until(ledger.has_acked_more(100), "requests are acked")
        machine.cluster.kill_postmaster(wal_writer)
    finally:
        ledger.end()
    machine.cluster.start()
    wait_until(machine.is_well, "the spool is empty", seconds=90)
    with machine.connect() as database:
        outcome = ledger.compare(database)
    record(outcome, 0.0)
    assert outcome.lost > 0
    assert not outcome.holds()


def test_every_kind_of_request_is_in_the_load():
    assert {kind_of(number) for number in range(10)} == {"click", "foreign", "alias", "head", "postback", "posted"}
