"""Clocks that are an hour off, from the start or from one moment to the next: ids stay unique, clicks and sales find each other."""

import pathlib

import pytest
from support import wait_until

LIBRARY = next(iter(sorted(pathlib.Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)
OFFSETS = ["+1h", "-1h"]


def faked(**how):
    assert LIBRARY, "libfaketime is missing (make setup)"
    return {"LD_PRELOAD": LIBRARY, "FAKETIME_DONT_FAKE_MONOTONIC": "1"} | how


def hours_off(machine):
    """By how many hours the taps of our own links are off the database's clock."""
    with machine.connect() as database:
        distance = "round(extract(epoch FROM clicked_at - clock_timestamp()) / 3600)::integer"
        return {hours for (hours,) in database.execute(f"SELECT DISTINCT {distance} FROM postback.clicks WHERE link_id IS NOT NULL")}


def crash(machine, ledger, chance):
    machine.cluster.kill_postmaster()
    wait_until(ledger.has_acked_more(chance.randint(50, 300)), "the spool takes requests")
    machine.cluster.start()


@pytest.mark.parametrize("offset", OFFSETS)
def test_clock_of_the_proxy_is_off(under_load, offset):
    machine, _, outcome = under_load(crash, environment=faked(FAKETIME=offset))
    assert outcome.unknown == 0
    assert hours_off(machine) == {int(offset[:2])}, "the proxy's clock was right: the fault tested nothing"


def test_clock_of_the_proxy_steps(under_load, tmp_path):
    """Once while the database takes the requests, and once while the spool does."""

    def show(offset):
        # Whole at once: the proxy reads it whenever it asks for the time.
        (tmp_path / "next").write_text(offset)
        (tmp_path / "next").rename(tmp_path / "clock")

    def fault(machine, ledger, chance):
        first, second = chance.sample(OFFSETS, 2)
        show(first)
        wait_until(ledger.has_acked_more(chance.randint(50, 300)), "requests are taken")
        machine.cluster.kill_postmaster()
        wait_until(ledger.has_acked_more(chance.randint(50, 300)), "the spool takes requests")
        show(second)
        wait_until(ledger.has_acked_more(chance.randint(50, 300)), "the spool takes requests of another hour")
        machine.cluster.start()

    show("+0")
    machine, _, outcome = under_load(fault, environment=faked(FAKETIME_TIMESTAMP_FILE=tmp_path / "clock", FAKETIME_NO_CACHE="1"))
    assert outcome.unknown == 0
    assert hours_off(machine) == {-1, 0, 1}, "the proxy's clock did not step: the fault tested nothing"


@pytest.mark.parametrize("offset", OFFSETS)
def test_clock_of_the_database_is_off(under_load, cluster, offset):
    cluster.stop()
    cluster.environment = faked(FAKETIME=offset)
    try:
        cluster.start()
        machine, _, outcome = under_load(crash)
        assert outcome.unknown == 0
        assert hours_off(machine) == {-int(offset[:2])}, "the database's clock was right: the fault tested nothing"
    finally:
        cluster.stop()
        cluster.environment = {}
