"""One cluster for all faults, a machine per test, and the table of what was seen.

POSTBACK_FAULT_SEEDS says with how many seeds each case is run: 1 in `tests/run faults`, 20 in `make faults`.
"""

import os
import tempfile

import pytest
from machine import Cluster, Machine

SEEDS = range(1, int(os.environ.get("POSTBACK_FAULT_SEEDS", "1")) + 1)
COLUMNS = ("case", "seed", "requests", "acked", "failed", "unknown", "lost", "unexpected", "duplicated", "recovered s", "stall s")
seen = []


def pytest_generate_tests(metafunc):
    if "seed" in metafunc.fixturenames:
        metafunc.parametrize("seed", SEEDS)


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

    def start(**settings):
        started.append(Machine(cluster, str(tmp_path / "spool"), **settings))
        return started[-1]

    yield start
    cluster.start()
    for machine in started:
        machine.proxy.stop()
        assert "panicked" not in machine.proxy.log


@pytest.fixture
def record(request):
    """Adds a line to the table."""

    def add(outcome, recovered_after):
        name = request.node.originalname.removeprefix("test_")
        seen.append((name, request.node.callspec.params["seed"], outcome, recovered_after))

    return add


def pytest_terminal_summary(terminalreporter):
    if not seen:
        return
    terminalreporter.write_line(" | ".join(COLUMNS))
    for name, seed, outcome, recovered_after in seen:
        counts = (outcome.requests, outcome.acked, outcome.failed, outcome.unknown, outcome.lost, outcome.unexpected, outcome.duplicated)
        terminalreporter.write_line(
            " | ".join([name, str(seed), *map(str, counts), f"{recovered_after:.1f}", f"{outcome.longest_stall:.1f}"])
        )
