"""pg_dump and psql into an empty database: the same rows, and everything still works."""

from decimal import Decimal

import pytest
from psycopg import sql
from support import PHONE, Campaign, connect, run_program

OBJECTS = """
    SELECT c.oid::regclass::text FROM pg_class AS c
    WHERE c.relnamespace IN ('postback'::regnamespace, '_postback'::regnamespace) AND c.relkind IN ('r', 'p')
        AND NOT c.relispartition
    ORDER BY 1"""


# Tables that the fixture leaves empty. A new table gets rows there, or is named here.
EMPTY = {"_postback.apart", "_postback.delivery_exceptions", "_postback.stale_hours", "postback.report_lines"}


def contents(connection):
    """Each table's rows as sorted text."""
    tables = [name for (name,) in connection.execute(OBJECTS)]
    assert "postback.clicks" in tables
    rows = {}
    for table in tables:
        query = sql.SQL("SELECT t::text FROM {} AS t ORDER BY 1").format(sql.SQL(table))
        rows[table] = [row for (row,) in connection.execute(query)]
    return rows


def earn(connection, code, transaction):
    """One tap and its postback; the verdict."""
    click_id, location = connection.execute(
        "SELECT click_id, location FROM postback.record_click(%s, user_agent => 'Mozilla/5.0 (iPhone)')", [code]
    ).fetchone()
    assert click_id in location
    query = f"click_id={click_id}&payout=12.50&status=approved&transaction_id={transaction}"
    answer = connection.execute("SELECT verdict::text FROM postback.receive_postback('default', %s)", [query])
    return answer.fetchone()[0]


def pay_a_partner(connection, campaign):
    """A partner with a rule, a statement of a conversion of the day before yesterday, and one that is due."""
    connection.execute("INSERT INTO postback.payout_tiers (name, share, hold) VALUES ('new', 0.7, '0'), ('proven', 0.8, '0')")
    connection.execute("INSERT INTO postback.tier_rules (from_tier_id, to_tier_id, trust_from) VALUES (1, 2, 0.9)")
    connection.execute("INSERT INTO postback.partners (name, tier_id) VALUES ('Partner', 1)")
    send = "SELECT postback.create_send(%s, base_url => 'https://s.example.com', partner_id => 1)"
    send_id = connection.execute(send, [campaign.campaign_id]).fetchone()[0]
    for days in (2, 1):
        connection.execute(
            """INSERT INTO postback.conversions (send_id, campaign_id, payout, converted_at)
               VALUES (%s, %s, 0.995, clock_timestamp() - make_interval(days => %s))""",
            [send_id, campaign.campaign_id, days],
        )
    closed = connection.execute("SELECT amount FROM postback.close_payout(1, now() - interval '36 hours')").fetchall()
    assert closed == [(Decimal("0.69"),)]


def import_a_report(connection):
    """A network's report with a sale that nobody told us, compared with the conversions."""
    connection.execute("SELECT postback.add_network('Net', 'tune')")
    with connection.transaction():
        for line in (
            "aff_click_id,Transaction ID,Goal,Status,Payout,Currency,Stat.datetime",
            "click-100-0123456789,t100,,approved,12.50,USD,2026-03-02 12:00:00",
            "click-101-0123456789,t101,,approved,a lot,USD,2026-03-02 12:00:00",
        ):
            connection.execute("INSERT INTO postback.report_lines (line) VALUES (%s)", [line])
        imported = connection.execute("SELECT import_id, row_count, bad_row_count FROM postback.import_report('net')").fetchone()
    assert imported == (1, 2, 1)
    connection.execute("SELECT postback.reconcile(1)")


def reconciled(connection):
    return connection.execute("SELECT r::text FROM postback.reconcile(1) AS r ORDER BY 1").fetchall()


def catch_a_thief(connection, campaign):
    """A conversion of a data centre's click, rejected for it."""
    connection.execute("SELECT postback.load_ip_ranges('cloud', '{198.51.100.0/24}')")
    connection.execute("UPDATE postback.fraud_rules SET action = 'reject' WHERE rule = 'datacenter_click'")
    click_id = connection.execute(
        "SELECT click_id FROM postback.record_click(%s, user_agent => %s, ip_address => '198.51.100.7')",
        [campaign.codes[1003], PHONE],
    ).fetchone()[0]
    connection.execute("SELECT postback.receive_postback('default', %s)", [f"click_id={click_id}&payout=5&transaction_id=stolen"])
    connection.execute("SELECT postback.fraud_scan(clock_timestamp() - interval '1 hour')")
    assert stolen(connection) == ("rejected", 0)


def fill_the_rest(connection, campaign):
    """What else somebody would miss after a restore."""
    for statement in (
        "INSERT INTO postback.segments VALUES (101, 'Segment')",
        "INSERT INTO postback.variants VALUES (1, 'Variant')",
        "INSERT INTO postback.link_aliases SELECT 'vanity', min(link_id) FROM postback.links",
        "SELECT postback.add_network_secret('net', 'hmac', 'a secret of sixteen bytes')",
        "SELECT postback.record_click(campaign_id => 456, click_id => 'foreign-1')",
        "SELECT postback.receive_postback('default', 'click_id=foreign-2&payout=1&transaction_id=early')",
        "SELECT postback.add_destination('partner', 'https://partner.example.com/?cid={click_id}', signing => 'hmac_sha256')",
        "SELECT postback.keep_dead_letter('click', 'foreign-3', now(), '{}', '', '23514')",
    ):
        connection.execute(statement)
    assert earn(connection, campaign.codes[1001], "txn_told") == "accepted"


def stolen(connection):
    return connection.execute("SELECT status::text, payout FROM postback.conversions WHERE transaction_id = 'stolen'").fetchone()


def due(connection):
    return connection.execute("SELECT p::text FROM postback.payables() AS p ORDER BY 1").fetchall()


def report(connection):
    return connection.execute(
        "SELECT p::text FROM postback.performance(ARRAY['campaign', 'segment', 'variant']) AS p ORDER BY 1"
    ).fetchall()


@pytest.fixture(scope="module")
def restored(database, databases):
    """A copy of a database with a click, a conversion and a ledger, made by pg_dump and psql."""
    campaign = Campaign(database)
    assert earn(database, campaign.codes[1001], "txn_001") == "accepted"
    # A tap of some hours ago, counted in rollups and their blocks, and one that came late and is not counted yet.
    late = """INSERT INTO postback.clicks (campaign_id, subscriber_id, clicked_at)
              VALUES (%s, 7, clock_timestamp() - make_interval(hours => %s))"""
    database.execute(late, [campaign.campaign_id, 9])
    # A followed link, and a spool whose depth maintain() makes an alert of.
    database.execute("SELECT postback.record_preflight(%s, true, true, NULL, 1, 5, true, '[]')", [campaign.codes[1001]])
    database.execute("SELECT postback.report_spool('127.0.0.1:8080', 5000, 1, clock_timestamp())")
    database.execute("SELECT postback.maintain()")
    assert database.execute("SELECT kind FROM postback.alerts").fetchall() == [("spool_fills",)]
    database.execute(late, [campaign.campaign_id, 1])
    pay_a_partner(database, campaign)
    import_a_report(database)
    catch_a_thief(database, campaign)
    fill_the_rest(database, campaign)
    copy = databases.create_bare()
    dump = run_program("pg_dump", database.info.dbname).stdout
    run_program("psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", copy, input=dump)
    with connect(copy) as connection:
        yield connection, campaign


def test_rows_are_the_same(database, restored):
    copy, _ = restored
    assert contents(copy) == contents(database)


def test_no_table_goes_unseen(database, restored):
    assert {table for table, rows in contents(database).items() if not rows} == EMPTY


def test_reports_are_the_same(database, restored):
    copy, _ = restored
    assert report(copy) == report(database)
    assert len(report(copy)) == 2
    copy.execute("SELECT postback.maintain()")
    assert report(copy) == report(database)


def credited(connection):
    return connection.execute("SELECT a::text FROM postback.attribution('linear') AS a ORDER BY 1").fetchall()


def test_credit_is_the_same(database, restored):
    copy, _ = restored
    assert credited(copy) == credited(database)
    # The second conversion has two taps on its path.
    assert len(credited(copy)) == 3


def test_paths_are_settled_in_the_cluster_of_the_copy(restored):
    copy, _ = restored
    # What was noted in a cluster that had seen more transactions.
    copy.execute("UPDATE _postback.settling SET next_xid = '1000000000000', settled_until = '-infinity'")
    settled = "SELECT settled_until > clock_timestamp() - interval '1 day' FROM _postback.settling"
    assert copy.execute(settled).fetchone() == (False,)
    for _ in range(2):
        copy.execute("SELECT postback.maintain(clock_timestamp() + interval '6 minutes')")
    assert copy.execute(settled).fetchone() == (True,)


def test_what_is_due_to_partners_is_the_same(database, restored):
    copy, _ = restored
    assert due(copy) == due(database)
    # A conversion, and a fraction of a cent of the statement.
    assert len(due(copy)) == 2


def test_closed_statements_stay_closed(restored):
    copy, _ = restored
    with pytest.raises(Exception, match="stays as it is"):
        copy.execute("DELETE FROM postback.statement_lines")
    paid = "SELECT statement_id, amount FROM postback.close_payout(1)"
    assert copy.execute(paid).fetchall() == [(2, Decimal("0.70"))]
    assert copy.execute(paid).fetchall() == []


def test_a_report_is_reconciled_as_before(database, restored):
    copy, _ = restored
    assert reconciled(copy) == reconciled(database)
    assert len(reconciled(copy)) > 0


def test_what_a_flag_rejected_can_be_released(restored):
    copy, _ = restored
    flag_id, rule, subject = copy.execute("SELECT flag_id, rule, subject FROM postback.flags WHERE rule = 'datacenter_click'").fetchone()
    assert (rule, subject, stolen(copy)) == ("datacenter_click", "198.51.100.0/24", ("rejected", 0))
    # Nothing is named twice, and a list is loaded in place of the old one.
    again = "SELECT sum(items) FROM postback.fraud_scan(clock_timestamp() - interval '1 day')"
    assert copy.execute(again).fetchone() == (0,)
    assert copy.execute("SELECT postback.load_ip_ranges('cloud', '{198.51.100.0/25}')").fetchone() == (1,)
    assert copy.execute("SELECT postback.resolve_flag(%s, 'release')", [flag_id]).fetchone() == (1,)
    assert stolen(copy) == ("approved", 5)


def test_old_links_and_new_money_work(restored):
    copy, campaign = restored
    assert earn(copy, campaign.codes[1002], "txn_002") == "accepted"


def test_an_old_code_redirects(restored):
    copy, campaign = restored
    click_id, location, visitor = copy.execute(
        "SELECT click_id, location, visitor::text FROM postback.record_click(%s, user_agent => %s)",
        [campaign.codes[1001], PHONE],
    ).fetchone()
    assert location == f"https://network.example.com/offer/789?aff_click_id={click_id}"
    stored = copy.execute("SELECT subscriber_id, send_id FROM postback.clicks WHERE click_id = %s", [click_id])
    assert (visitor, stored.fetchone()) == ("human", (1001, campaign.send_id))


def test_an_old_click_earns_once(restored):
    copy, _ = restored
    # txn_001 was paid for before the dump.
    click_id = copy.execute("SELECT click_id FROM postback.conversions WHERE transaction_id = 'txn_001'").fetchone()[0]

    def receive(transaction, status):
        query = f"click_id={click_id}&payout=12.50&status={status}&transaction_id={transaction}"
        answer = copy.execute("SELECT verdict::text FROM postback.receive_postback('default', %s)", [query])
        return answer.fetchone()[0]

    assert receive("txn_001", "approved") == "duplicate"
    assert receive("txn_003", "approved") == "accepted"
    assert receive("txn_001", "reversed") == "updated"
    # Which of the subscriber's taps gets the credit is not asked here: other tests tap too.
    credited = copy.execute(
        "SELECT transaction_id, revenue FROM postback.attribution() WHERE transaction_id IN ('txn_001', 'txn_003')"
    ).fetchall()
    assert dict(credited) == {"txn_001": 0, "txn_003": 12.5}


def test_the_ledger_verifies_and_goes_on(restored):
    copy, _ = restored
    assert copy.execute("SELECT * FROM postback.verify_ledger()").fetchall() == []
    assert copy.execute("SELECT count(*) FROM postback.ledger").fetchone()[0] > 0
    with pytest.raises(Exception, match="append-only"):
        copy.execute("DELETE FROM postback.conversion_events")


def test_numbers_go_on_where_they_were(restored):
    copy, campaign = restored
    send_id = copy.execute(
        "SELECT postback.create_send(%s, base_url => 'https://s.example.com')", [campaign.campaign_id]
    ).fetchone()[0]
    assert send_id > campaign.send_id
    minted = copy.execute("SELECT code FROM postback.mint_links(%s, %s)", [campaign.send_id, [1004]]).fetchone()
    assert minted[0] not in campaign.codes.values()
    copy.execute("SELECT postback.add_network('Later'), postback.add_offer('Later', 'https://example.com/{click_id}')")
    copy.execute("SELECT postback.maintain()")


def test_a_dump_of_the_copy_is_the_dump_of_the_original(databases, database):
    # Modulo the line that changes with each run of pg_dump.
    def dump(name):
        text = run_program("pg_dump", name).stdout
        return [line for line in text.splitlines() if not line.startswith(("\\restrict", "\\unrestrict"))]

    copy = databases.create_bare()
    run_program("psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", copy, input="\n".join(dump(database.info.dbname)))
    # A dump does not say whose the functions of an extension are.
    with connect(copy) as connection:
        connection.execute("SELECT postback.set_owner()")
    assert dump(copy) == dump(database.info.dbname)


def test_drop_extension_refuses_while_tables_use_it(database):
    with pytest.raises(Exception, match="cannot drop extension postback because other objects depend on it"):
        database.execute("DROP EXTENSION postback")
