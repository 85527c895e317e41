"""A proxy whose clock is an hour off: ids stay unique, clicks and sales find each other."""

import pathlib

import pytest
from support import wait_until

LIBRARY = next(iter(sorted(pathlib.Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)


@pytest.mark.parametrize("offset", ["+1h", "-1h"])
def test_clock_of_the_proxy_is_off(under_load, offset):
    assert LIBRARY, "libfaketime is missing (make setup)"

    def fault(machine, ledger, chance):
        machine.cluster.kill_postmaster()
        wait_until(ledger.has_acked_more(chance.randint(50, 300)), "the spool takes requests")
        machine.cluster.start()

    environment = {"LD_PRELOAD": LIBRARY, "FAKETIME": offset, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    machine, _, outcome = under_load(fault, environment=environment)
    assert outcome.unknown == 0
    with machine.connect() as database:
        distance = "SELECT round(extract(epoch FROM max(clicked_at) - clock_timestamp()) / 3600) FROM postback.clicks WHERE link_id IS NOT NULL"
        assert database.execute(distance).fetchone()[0] == int(offset[:2]), "the proxy's clock was right: the fault tested nothing"
