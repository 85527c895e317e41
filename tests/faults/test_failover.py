"""The primary is gone and its standby takes over, under load: what was answered is on the standby."""

import tempfile

import pytest
from machine import Cluster, Standby
from support import wait_until


@pytest.fixture
def pair():
    """A primary and a synchronous standby."""
    with tempfile.TemporaryDirectory(prefix="postback-faults.") as directory:
        primary = Cluster(f"{directory}/primary")
        try:
            standby = Standby(f"{directory}/standby", primary)
            yield primary, standby
            standby.remove()
        finally:
            primary.remove()


@pytest.mark.parametrize("is_planned", [False, True], ids=["crash", "switchover"])
def test_failover(under_load, start_machine, pair, is_planned):
    primary, standby = pair
    machine = start_machine(cluster=primary, standby=standby)

    def fault(machine, ledger, chance):
        if is_planned:
            primary.stop()
        else:
            primary.kill_postmaster()
        wait_until(ledger.has_acked_more(chance.randint(50, 500)), "the spool takes requests")
        standby.promote()
        machine.cluster = standby

    _, _, outcome = under_load(fault, machine=machine)
    assert outcome.unknown == 0
    assert machine.proxy.metric("spooled_total") > 0, "nothing was spooled: the fault tested nothing"
    machine.proxy.stop()
