"""docs/trust.md: what it tells people to type does what it says, for an admin, and its tables are those of the database."""

import os
import re
import shlex
import subprocess

import pytest
from support import PROXY, REPOSITORY, database_url

PAGE = (REPOSITORY / "docs/trust.md").read_text(encoding="utf-8")
STATEMENTS = re.findall(r"^```sql\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
COMMANDS = re.findall(r"^```\n(psql -1.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
# Those within a sentence, but for patterns with an ellipsis.
SENTENCES = re.sub(r"^```.*?^```$", "", PAGE, flags=re.DOTALL | re.MULTILINE)
IN_SENTENCES = re.findall(r"`((?:SELECT|UPDATE|INSERT|LISTEN) [^`…]*)`", SENTENCES)
PSQL = ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]
REPORT = "Transaction ID,Sub ID,Status,Payout,Date\nt1,c1,approved,12.50,2026-03-01 12:00:00\nt2,c2,approved,12.50,2026-03-0{day} 12:00:00\n"


class Reader:
    """Somebody who types what the page says, with the rights of an admin."""

    def __init__(self, connection, directory):
        self.connection, self.directory = connection, directory
        self.role = f"admin_{connection.info.dbname}"
        connection.execute(f"CREATE ROLE {self.role} LOGIN")
        connection.execute("SELECT postback.grant_role(%s, 'admin')", [self.role])
        self.url = database_url(connection).replace("user=" + connection.info.user, f"user={self.role}")

    def run(self, command, **options):
        return subprocess.run(command, cwd=self.directory, capture_output=True, text=True, timeout=60, **options)

    def sql(self, statements):
        done = self.run([*PSQL, "-d", self.url], input=statements)
        assert done.returncode == 0, f"{statements}\n{done.stderr}"
        return done.stdout


@pytest.fixture(scope="module")
def reader(database, tmp_path_factory):
    """The page's example: its numbers are those of what is made here."""
    database.execute(
        """
        SELECT postback.add_network('TUNE', 'tune'), postback.add_network('My TUNE', 'tune');
        SELECT postback.add_offer('Offer', 'https://network.example.com/offer/789?aff_click_id={click_id}', offer_id => 789, network => 'my-tune');
        INSERT INTO postback.campaigns (campaign_id, offer_id) VALUES (456, 789);
        -- The next one is send 12.
        SELECT setval(pg_get_serial_sequence('postback.sends', 'send_id'), 11);
        INSERT INTO postback.flags (flag_id, rule, subject_kind, subject, severity, action, first_at, last_at, opened_at, updated_at, evidence)
        OVERRIDING SYSTEM VALUE
        SELECT n, 'click_flood', 'address', n::text, 'low', 'flag', t.at, t.at, t.at, t.at, '{}'
        FROM unnest('{7,8}'::bigint[]) AS n, (VALUES (timestamptz '2026-03-01 12:00+00')) AS t (at)
        """
    )
    made = Reader(database, tmp_path_factory.mktemp("page"))
    yield made
    database.execute(f"DROP OWNED BY {made.role}")
    database.execute(f"DROP ROLE {made.role}")


def test_page_has_what_is_executed_here():
    assert (len(STATEMENTS), len(COMMANDS)) == (8, 1) and len(IN_SENTENCES) >= 2


def test_report_is_loaded_by_either_command(reader):
    by_psql, by_program = COMMANDS[0].strip().split("\n\n")
    for day, command in ((1, by_psql), (2, by_program)):
        (reader.directory / "march.csv").write_text(REPORT.format(day=day))
        # The page's database is here the test's.
        line = command.replace("\\\n", " ").replace("postgres:///postback", shlex.quote(reader.url)).replace("-d postback", f"-d '{reader.url}'")
        name, *words = shlex.split(line)
        variables = {}
        while "=" in name:
            variables |= [name.split("=", 1)]
            name, *words = words
        program = {"psql": PSQL, "postback-proxy": [PROXY]}[name]
        done = reader.run([*program, *words], env=os.environ | variables)
        assert done.returncode == 0, done.stderr
    assert reader.sql("SELECT network, row_count, bad_row_count, time_zone FROM postback.reconciliations").splitlines() == ["tune|2|0|America/New_York"] * 2


@pytest.mark.parametrize("statements", [*STATEMENTS, *IN_SENTENCES], ids=lambda text: text.split(";")[0][:60].replace("\n", " "))
def test_statements_are_right(reader, statements):
    reader.sql(statements)


def names(heading):
    """What the first column of the table below this heading names."""
    table = PAGE.split(f"## {heading}\n")[1].split("\n|---")[1].split("\n\n")[0]
    return {name for row in table.splitlines()[1:] for name in re.findall("`([a-z_]+)`", row.split("|")[1])}


@pytest.mark.parametrize(
    ("heading", "query"),
    [("Fraud", "SELECT rule FROM postback.fraud_rules"), ("Alerts", "SELECT name FROM postback.alert_rules")],
)
def test_tables_are_those_of_the_database(database, heading, query):
    assert names(heading) == {name for (name,) in database.execute(query)}


def test_symptoms_are_those_that_are_looked_for(database):
    sources = "SELECT string_agg(prosrc, '') FROM pg_proc WHERE pronamespace = '_postback'::regnamespace AND proname LIKE 'symptom%'"
    source = database.execute(sources).fetchone()[0]
    literals = set(re.findall(r"'([a-z_]+)'", source))
    assert names("Diagnosis") <= literals
    # Those whose severity stands behind them are most.
    assert set(re.findall(r"'([a-z_]+)', '(?:critical|warning)'", source)) <= names("Diagnosis")
