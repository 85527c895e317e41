"""pg_dump and psql into an empty database: the same rows, and everything still works."""

import pytest
from psycopg import sql
from support import Campaign, connect, run_program

OBJECTS = """
    SELECT c.oid::regclass::text FROM pg_class AS c
    WHERE c.relnamespace IN ('postback'::regnamespace, '_postback'::regnamespace) AND c.relkind IN ('r', 'p')
        AND NOT c.relispartition
    ORDER BY 1"""


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


def report(connection):
    return connection.execute(
        "SELECT p::text FROM postback.performance(ARRAY['campaign', 'segment', 'variant']) AS p ORDER BY 1"
    ).fetchall()


@pytest.fixture(scope="module")
def restored(database, databases):
    """A copy of a database with a click, a conversion and a ledger, made by pg_dump and psql."""
    campaign = Campaign(database)
    assert earn(database, campaign.codes[1001], "txn_001") == "accepted"
    copy = databases.create_bare()
    dump = run_program("pg_dump", database.info.dbname).stdout
    run_program("psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", copy, input=dump)
    with connect(copy) as connection:
        yield connection, campaign


def test_rows_are_the_same(database, restored):
    copy, _ = restored
    assert contents(copy) == contents(database)


def test_reports_are_the_same(database, restored):
    copy, _ = restored
    assert report(copy) == report(database)
    assert len(report(copy)) == 1


def test_old_links_and_new_money_work(restored):
    copy, campaign = restored
    assert earn(copy, campaign.codes[1002], "txn_002") == "accepted"


def test_a_dump_of_the_copy_is_the_dump_of_the_original(databases, database):
    # Modulo the line that changes with each run of pg_dump.
    def dump(name):
        text = run_program("pg_dump", name).stdout
        return [line for line in text.splitlines() if not line.startswith(("\\restrict", "\\unrestrict"))]

    copy = databases.create_bare()
    run_program("psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", copy, input="\n".join(dump(database.info.dbname)))
    assert dump(copy) == dump(database.info.dbname)


def test_drop_extension_refuses_while_tables_use_it(database):
    with pytest.raises(Exception, match="cannot drop extension postback because other objects depend on it"):
        database.execute("DROP EXTENSION postback")
