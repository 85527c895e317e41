"""One cluster for all faults, a machine per test, and the table of what was seen.

POSTBACK_FAULT_SEEDS says with how many seeds each kill is run, and a quarter of it for every other case: 1 in `tests/run faults`, 20 in
`make faults`.
"""

import os
import random
import tempfile
import time

import pytest
from ledger import Ledger
from machine import Cluster, Machine
from support import wait_until

SEEDS = range(1, int(os.environ.get("POSTBACK_FAULT_SEEDS", "1")) + 1)
COLUMNS = ("case", "seed", "requests", "acked", "failed", "unknown", "lost", "unexpected", "duplicated", "recovered s", "stall s")
seen, remarks = [], []


def pytest_generate_tests(metafunc):
    if "seed" in metafunc.fixturenames:
        # A kill may fall anywhere; the other faults last.
        is_kill = metafunc.function.__name__.startswith("test_killed")
        metafunc.parametrize("seed", SEEDS if is_kill else SEEDS[: max(1, len(SEEDS) // 4)])


@pytest.fixture(scope="session")
def cluster():
    with tempfile.TemporaryDirectory(prefix="postback-faults.") as directory:
        made = Cluster(f"{directory}/cluster")
        yield made
        made.remove()


@pytest.fixture
def start_machine(cluster, tmp_path):
    """Makes the machine of a test, with settings of the proxy."""
    started = []

    def start(cluster=cluster, spool=tmp_path / "spool", **settings):
        started.append(Machine(cluster, str(spool), **settings))
        return started[-1]

    yield start
    cluster.start()
    for machine in started:
        machine.proxy.stop()
        # Shown when the test fails.
        print(machine.proxy.log[-4000:])
        assert "panicked" not in machine.proxy.log
        if machine.cluster is cluster:
            # A server that was killed syncs every file of every database before it starts again.
            cluster.drop_database(machine.database)


@pytest.fixture
def record(request):
    """Adds a line to the table."""

    def add(outcome, recovered_after):
        name = request.node.originalname.removeprefix("test_")
        seen.append((name, request.node.callspec.params["seed"], outcome, recovered_after))

    return add


@pytest.fixture
def remark():
    """Adds a sentence below the table."""
    return remarks.append


@pytest.fixture
def under_load(start_machine, seed, record):
    """Runs a fault under load: `fault(machine, ledger, chance)` breaks and heals; then the ledger is compared.

    Only requests in flight to a proxy that dies may fail to be answered.
    """

    def run(fault, machine=None, **settings):
        machine = machine or start_machine(**settings)
        chance = random.Random(seed)
        ledger = Ledger(machine, seed)
        try:
            wait_until(ledger.has_acked_more(chance.randint(100, 400)), "the load is running")
            fault(machine, ledger, chance)
            healed_at = time.monotonic()
            wait_until(ledger.has_acked_more(chance.randint(100, 400)), "requests are taken again")
        finally:
            ledger.end()
        wait_until(machine.is_well, "the spool is empty", seconds=90)
        recovered_after = time.monotonic() - healed_at
        with machine.connect() as database:
            outcome = ledger.compare(database)
            dead_letters, orphans, sales, conversions = database.execute(
                "SELECT (SELECT count(*) FROM postback.dead_letters), (SELECT count(*) FROM _postback.orphans), "
                "(SELECT count(DISTINCT transaction_id) FROM postback.postbacks), (SELECT count(*) FROM postback.conversions)"
            ).fetchone()
        record(outcome, recovered_after)
        assert outcome.acked > 0
        assert outcome.holds(), outcome
        assert ledger.failed == {}, "every request is redirected or answered"
        # A postback that was drained before its click has found it.
        assert (dead_letters, orphans, conversions) == (0, 0, sales)
        return machine, ledger, outcome

    return run


def pytest_terminal_summary(terminalreporter):
    if seen:
        terminalreporter.write_line(" | ".join(COLUMNS))
    for name, seed, outcome, recovered_after in seen:
        counts = (outcome.requests, outcome.acked, outcome.failed, outcome.unknown, outcome.lost, outcome.unexpected, outcome.duplicated)
        terminalreporter.write_line(
            " | ".join([name, str(seed), *map(str, counts), f"{recovered_after:.1f}", f"{outcome.longest_stall:.1f}"])
        )
    for sentence in remarks:
        terminalreporter.write_line(sentence)
