"""Disks that are full, fail or take their time, under the spool and under the database."""

import contextlib
import os
import pathlib
import random
import subprocess
import tempfile
import time

import pytest
from ledger import Ledger, is_sale
from machine import Cluster
from support import Proxy, wait_until


@pytest.fixture
def small_disk():
    """Makes disks of so many megabytes."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    mounted = []

    def mount(megabytes):
        directory = pathlib.Path(tempfile.mkdtemp(prefix="postback-disk."))
        options = f"size={megabytes}m,mode=0755"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", directory], check=True)
        mounted.append(directory)
        return directory

    yield mount
    for directory in mounted:
        subprocess.run(["umount", directory], check=True)
        directory.rmdir()


@contextlib.contextmanager
def filled(disk):
    """Nothing more fits onto the disk."""
    filler = disk / "filler"
    with open(filler, "wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass
    try:
        yield
    finally:
        filler.unlink()


@contextlib.contextmanager
def tampered(process, injection):
    """Something happens to the system calls with which a process makes its writes durable."""
    command = ["strace", "-f", "-qq", "-o", "/dev/null", "-p", str(process.pid), "-e", f"inject=fsync,fdatasync:{injection}"]
    tracer = subprocess.Popen(command)
    status = pathlib.Path(f"/proc/{process.pid}/status")
    wait_until(lambda: f"TracerPid:\t{tracer.pid}\n" in status.read_text(), "the tracer is attached")
    try:
        yield
    finally:
        tracer.terminate()
        tracer.wait()


@pytest.fixture
def without_database(start_machine, seed, record):
    """Runs a fault of the spool under load while the database is down, and compares what came of it.

    What neither of the two can take: a postback is refused, a tap is redirected all the same, and counted.
    """

    def run(fault, **settings):
        machine = start_machine(**settings)
        chance = random.Random(seed)
        ledger = Ledger(machine, seed)
        try:
            wait_until(ledger.has_acked_more(50), "the load is running")
            machine.cluster.stop()
            wait_until(ledger.has_acked_more(chance.randint(100, 300)), "the spool takes requests")
            fault(machine, ledger)
            spooled = machine.proxy.metric("spooled_total")
            wait_until(lambda: machine.proxy.metric("spooled_total") > spooled + 100, "the spool takes requests again")
            healed_at = time.monotonic()
            machine.cluster.start()
        finally:
            ledger.end()
        wait_until(machine.is_well, "the spool is empty", seconds=90)
        with machine.connect() as database:
            outcome = ledger.compare(database)
            stored = database.execute("SELECT count(*) FROM postback.postbacks").fetchone()[0]
        record(outcome, time.monotonic() - healed_at)
        assert (outcome.unexpected, outcome.duplicated, outcome.unknown, outcome.wrong_sales) == (0, 0, 0, [])
        # What was written and not made durable may be there all the same.
        assert outcome.lost <= machine.proxy.metric("clicks_unrecorded_total")
        assert all(map(is_sale, ledger.failed))
        assert set(ledger.failed.values()) <= {503}
        assert stored >= sum(map(is_sale, ledger.acked))
        return machine, ledger, outcome

    return run


def test_full_disk_of_the_spool_while_the_database_is_up(small_disk, under_load):
    disk = small_disk(16)

    def fault(machine, ledger, chance):
        with filled(disk):
            wait_until(ledger.has_acked_more(300), "requests are taken")

    _, _, outcome = under_load(fault, spool=disk / "spool")
    assert outcome.unknown == 0


def test_full_disk_of_the_spool_while_the_database_is_down(small_disk, without_database):
    disk = small_disk(16)

    def fault(machine, ledger):
        with filled(disk):
            wait_until(lambda: machine.proxy.metric("clicks_unrecorded_total") > 50, "nothing takes the requests")
            wait_until(lambda: len(ledger.failed) > 0, "a postback is refused")

    _, _, outcome = without_database(fault, spool=disk / "spool")
    assert outcome.lost > 50, "nothing was refused: the fault tested nothing"


def test_full_disk_of_the_database(small_disk, under_load, start_machine):
    disk = small_disk(400)
    own = Cluster(f"{disk}/cluster", min_wal_size="32MB", max_wal_size="64MB")
    machine = start_machine(cluster=own)

    def fault(machine, ledger, chance):
        with filled(disk):
            wait_until(lambda: machine.proxy.metric("spooled_total") > 100, "the spool takes requests")
        own.start()

    try:
        _, _, outcome = under_load(fault, machine=machine)
        assert outcome.unknown == 0
    finally:
        machine.proxy.stop()
        own.remove()


def test_spool_disk_that_fails(without_database):
    def fault(machine, ledger):
        with tampered(machine.proxy.process, "error=EIO"):
            wait_until(lambda: machine.proxy.metric("clicks_unrecorded_total") > 20, "nothing takes the requests")
        assert "the spool failed" in machine.proxy.log

    without_database(fault)


def test_spool_file_that_the_disk_has_failed_on_once_is_not_trusted(start_machine):
    machine = start_machine()
    proxy, tap, file = machine.proxy, f"/{machine.campaign.codes[1]}", pathlib.Path(machine.spool) / "spool.redb"
    machine.cluster.stop()
    wait_until(lambda: proxy.get(tap).status == 302 and proxy.metric("spooled_total") > 0, "taps are spooled")
    inode = file.stat().st_ino
    with tampered(proxy.process, "error=EIO:when=1"):
        wait_until(lambda: proxy.get(tap).status == 302 and proxy.metric("clicks_unrecorded_total") > 0, "the disk fails")
        spooled = proxy.metric("spooled_total")
        wait_until(lambda: proxy.get(tap).status == 302 and proxy.metric("spooled_total") > spooled, "taps are spooled again")
    assert file.stat().st_ino != inode
    spooled = proxy.metric("spooled_total")
    # It dies with the disk's word for it that all is there.
    machine.kill_proxy()
    machine.cluster.start()
    machine.restart_proxy()
    wait_until(machine.is_well, "the spool is empty")
    with machine.connect() as database:
        assert database.execute("SELECT count(*) FROM postback.clicks").fetchone()[0] >= spooled


def test_spool_disk_that_takes_five_seconds(without_database):
    def fault(machine, ledger):
        with tampered(machine.proxy.process, "delay_enter=5s:when=1..2"):
            wait_until(lambda: ledger.longest_stall > 4.5, "requests wait for the disk")

    _, ledger, outcome = without_database(fault)
    assert outcome.lost == 0
    assert ledger.failed == {}


def test_broken_spool_does_not_keep_requests_from_the_database(start_machine):
    machine = start_machine()
    proxy, tap = machine.proxy, f"/{machine.campaign.codes[1]}"
    with tampered(proxy.process, "error=EIO"):
        machine.cluster.stop()
        wait_until(lambda: proxy.get(tap).status == 302 and proxy.metric("clicks_unrecorded_total") > 0, "nothing takes taps")
        wait_until(lambda: proxy.admin("/readyz").status == 503, "a balancer is told")
        machine.cluster.start()
        wait_until(lambda: proxy.admin("/readyz").text == "ok\n", "the database takes requests")
        unrecorded = proxy.metric("clicks_unrecorded_total")
        with machine.connect() as database:
            before = database.execute("SELECT count(*) FROM postback.clicks").fetchone()[0]
            assert [proxy.get(tap).status for _ in range(5)] == [302] * 5
            assert database.execute("SELECT count(*) FROM postback.clicks").fetchone()[0] == before + 5
        assert proxy.metric("clicks_unrecorded_total") == unrecorded


def test_spool_disk_that_is_mended_is_told_without_another_request(start_machine):
    machine = start_machine()
    proxy, tap = machine.proxy, f"/{machine.campaign.codes[1]}"
    machine.cluster.stop()
    with tampered(proxy.process, "error=EIO"):
        wait_until(lambda: proxy.get(tap).status == 302 and proxy.metric("clicks_unrecorded_total") > 0, "nothing takes taps")
        wait_until(lambda: proxy.admin("/readyz").status == 503, "a balancer is told")
    wait_until(lambda: proxy.admin("/readyz").text.startswith("spooling"), "a balancer sends taps again")


def test_spool_disk_that_does_not_answer_keeps_requests_from_nothing(start_machine):
    machine = start_machine()
    proxy, tap = machine.proxy, f"/{machine.campaign.codes[1]}"
    with tampered(proxy.process, "delay_enter=60s"):
        machine.cluster.stop()
        wait_until(lambda: proxy.get(tap).status == 302 and proxy.metric("clicks_unrecorded_total") > 0, "taps are redirected", seconds=30)
        started = time.monotonic()
        assert [proxy.get(tap).status for _ in range(20)] == [302] * 20
        assert time.monotonic() - started < 5, "each of them waited for the disk"
        assert proxy.get("/postback?transaction_id=a").status == 503
        assert proxy.admin("/readyz").status == 503
        machine.cluster.start()
        wait_until(lambda: proxy.admin("/readyz").text == "ok\n", "the database takes requests")
        assert proxy.get(tap).status == 302
        with machine.connect() as database:
            assert database.execute("SELECT count(*) FROM postback.clicks").fetchone()[0] == 1


def test_full_disk_of_the_spool_at_the_start(small_disk, cluster, start_machine):
    disk = small_disk(16)
    machine = start_machine()
    spool, tap = disk / "spool", f"/{machine.campaign.codes[1]}"
    spool.mkdir()
    with filled(disk):
        proxy = Proxy(cluster.url(machine.database), spool=spool).wait_until_ready()
        assert "the spool cannot be opened" in proxy.log
        assert proxy.get(tap).status == 302
        with machine.connect() as database:
            assert database.execute("SELECT count(*) FROM postback.clicks").fetchone()[0] == 1
    machine.cluster.stop()
    wait_until(lambda: proxy.get(tap).status == 302 and proxy.metric("spooled_total") > 0, "the disk is free, taps are spooled")
    machine.cluster.start()
    wait_until(lambda: proxy.metric("spool_records") == 0, "the spool is empty")
    assert proxy.stop() == 0
