"""Faults under load, with a spool: nothing that was acked is lost, nothing is stored twice, nobody is turned away."""

import os
import random
import signal
import time

import pytest
from ledger import Ledger, kind_of
from liar import Liar
from support import wait_until


@pytest.fixture
def under_load(start_machine, seed, record):
    """Runs a fault under load: `fault(machine, ledger, chance)` breaks and heals; then the ledger is compared.

    Only requests in flight to a proxy that dies may fail to be answered.
    """

    def run(fault, **settings):
        machine = start_machine(**settings)
        chance = random.Random(seed)
        ledger = Ledger(machine.proxy.listen, machine.campaign.codes.values(), seed)
        try:
            wait_until(ledger.has_acked_more(chance.randint(100, 400)), "the load is running")
            fault(machine, ledger, chance)
            healed_at = time.monotonic()
            wait_until(ledger.has_acked_more(chance.randint(100, 400)), "requests are taken again")
        finally:
            ledger.end()
        wait_until(machine.is_well, "the spool is empty")
        recovered_after = time.monotonic() - healed_at
        with machine.connect() as database:
            outcome = ledger.compare(database)
            dead_letters, orphans, messages, conversions = database.execute(
                "SELECT (SELECT count(*) FROM postback.dead_letters), (SELECT count(*) FROM _postback.orphans), "
                "(SELECT count(*) FROM postback.postbacks), (SELECT count(*) FROM postback.conversions)"
            ).fetchone()
        record(outcome, recovered_after)
        assert outcome.acked > 0
        assert outcome.holds(), outcome
        assert ledger.failed == {}, "every request is redirected or answered"
        # A postback that was drained before its click has found it.
        assert (dead_letters, orphans, conversions) == (0, 0, messages)
        return machine, ledger, outcome

    return run


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
        ledger = Ledger(liar.listen, machine.campaign.codes.values(), seed)
        try:
            wait_until(lambda: liar.forwarded > 200, "the load is running")
            os.kill(machine.proxy.process.pid, signal.SIGSTOP)
            wait_until(ledger.has_acked_more(50), "requests are acked that nobody took")
            machine.kill_proxy()
        finally:
            ledger.end()
    machine.restart_proxy()
    wait_until(machine.is_well, "the spool is empty")
    with machine.connect() as database:
        outcome = ledger.compare(database)
    record(outcome, 0.0)
    assert outcome.lost > 0
    assert not outcome.holds()


def test_every_kind_of_request_is_in_the_load():
    assert {kind_of(number) for number in range(10)} == {"click", "foreign", "postback"}
