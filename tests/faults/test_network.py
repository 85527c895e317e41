"""Faults of the way between proxy and database under load: silence, lost answers, no connection to be had."""

import contextlib
import http.client
import os
import tempfile

import psycopg
import pytest
from machine import Cluster
from middleman import Middleman
from network import Network
from support import wait_until


@pytest.fixture
def middleman(cluster):
    with Middleman("{host}/.s.PGSQL.{port}".format(**cluster.address)) as between:
        yield between


@pytest.fixture(scope="module")
def distant():
    """A network, and how to make a machine whose proxy is in it and reaches its database by TCP."""
    if os.geteuid() != 0:
        pytest.skip("only root may make a network")
    network = Network()
    try:
        with tempfile.TemporaryDirectory(prefix="postback-faults.") as directory:
            cluster = Cluster(f"{directory}/cluster", listen_addresses=network.database)
            with open(cluster.home / "data/pg_hba.conf", "a") as rules:
                rules.write(f"host all all {network.proxy}/32 trust\n")
            with cluster.connect("postgres") as server:
                server.execute("SELECT pg_reload_conf()")
            through = f"{network.database}:{cluster.address['port']}"
            yield network, {"cluster": cluster, "through": through, "addresses": network.addresses, "prefix": network.prefix}
            cluster.remove()
    finally:
        network.remove()


@pytest.mark.parametrize("silent", ["both ways", "answers"])
def test_partition_without_a_reset(under_load, middleman, silent):
    """Where only answers are lost, what is committed and not heard of is spooled, and recognised when it is drained."""
    directions = [middleman.passes_answers] + [middleman.passes_requests] * (silent == "both ways")

    def fault(machine, ledger, chance):
        for passes in directions:
            passes.clear()
        wait_until(ledger.has_acked_more(chance.randint(500, 1500)), "the spool takes requests")
        for passes in directions:
            passes.set()

    machine, _, outcome = under_load(fault, through=middleman.server)
    assert outcome.unknown == 0
    assert machine.proxy.metric("spooled_total") > 0


def test_partition_that_drops_packets(under_load, distant):
    network, settings = distant

    def fault(machine, ledger, chance):
        network.cut()
        try:
            wait_until(ledger.has_acked_more(chance.randint(500, 1500)), "the spool takes requests")
        finally:
            network.heal()

    machine, _, outcome = under_load(fault, **settings)
    assert outcome.unknown == 0
    assert outcome.longest_stall < 2 * 1.0 + 1.0, "patience twice, and the spool"
    assert machine.proxy.metric("spooled_total") > 0


def test_killed_proxy_between_commit_and_answer(under_load, middleman):
    def fault(machine, ledger, chance):
        middleman.passes_answers.clear()
        with machine.connect() as database:
            count = "SELECT (SELECT count(*) FROM postback.clicks) + (SELECT count(*) FROM postback.postbacks)"
            wait_until(lambda: database.execute(count).fetchone()[0] > len(ledger.acked), "a batch is committed that nobody has heard of")
        machine.kill_proxy()
        middleman.passes_answers.set()
        machine.restart_proxy()

    _, ledger, outcome = under_load(fault, through=middleman.server)
    assert 0 < outcome.unknown <= 2 * len(ledger.threads)


def test_sale_that_was_stored_and_not_answered_is_sent_again(start_machine, middleman):
    machine = start_machine(through=middleman.server, postback_connections=1)
    click_id = machine.proxy.get(f"/{machine.campaign.codes[1]}").location.split("=")[1]
    earlier, sale = (f"/postback?transaction_id={name}&payout=1.00&click_id={click_id}" for name in ("t1", "t2"))
    assert machine.proxy.get(earlier).status == 200, "its statement is prepared: the next one needs no other answer"
    verdicts = "SELECT array_agg(verdict::text ORDER BY verdict) FROM postback.postbacks WHERE transaction_id = 't2'"
    middleman.passes_answers.clear()
    network = http.client.HTTPConnection(machine.proxy.listen)
    network.request("GET", sale)
    with machine.connect() as database:
        wait_until(lambda: database.execute(verdicts).fetchone()[0] == ["accepted"], "the sale is stored")
        machine.kill_proxy()
        with pytest.raises((OSError, http.client.HTTPException)):
            network.getresponse()
        middleman.passes_answers.set()
        machine.restart_proxy()
        assert machine.proxy.wait_until_ready().get(sale).status == 200
        assert database.execute(verdicts).fetchone()[0] == ["accepted", "duplicate"]
        assert database.execute("SELECT array_agg(payout::text) FROM postback.conversions").fetchone()[0] == ["1.00"] * 2


def test_no_connection_left(under_load):
    """Somebody else has taken every connection."""

    def fault(machine, ledger, chance):
        cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'postback-proxy'"
        with contextlib.ExitStack() as taken:
            first = taken.enter_context(machine.connect())
            while first.execute(cut).fetchone()[0] > 0:
                with pytest.raises(psycopg.OperationalError, match="too many clients"):
                    while True:
                        taken.enter_context(contextlib.closing(machine.connect()))
            wait_until(ledger.has_acked_more(chance.randint(500, 1000)), "the spool takes requests")

    machine, _, outcome = under_load(fault)
    assert outcome.unknown == 0
    assert machine.proxy.metric("spooled_total") > 0
