"""`postback-proxy import-report`: a network's own file into the database, and what is said of files that are not right."""

import fcntl
import json
import os
import pty
import signal
import subprocess
import sys
import termios
from datetime import UTC, datetime

import pytest
from support import PROXY, database_url, free_address, run_program, wait_until

HEADER = "click_id,transaction_id,status,payout,time\n"


class Reports:
    """Networks with conversions that came over HTTP, and the program that imports what the networks say of them."""

    def __init__(self, connection, proxy, campaign, directory):
        self.connection, self.proxy, self.campaign, self.directory = connection, proxy, campaign, directory
        for slug, preset in (("tune", "tune"), ("everflow", "everflow"), ("plain", "generic")):
            self.connection.execute("SELECT postback.add_network(%s, %s)", [slug, preset])

    def tap(self):
        return self.proxy.get(f"/{self.campaign.codes[1001]}").location.split("aff_click_id=")[1]

    def convert(self, network, query):
        assert self.proxy.get(f"/postback/{network}?{query}").status == 200

    def environment(self, url=None):
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("POSTBACK_", "PG"))}
        return inherited | {"POSTBACK_DATABASE_URL": url or database_url(self.connection)}

    def write(self, content, name="report.csv"):
        path = self.directory / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def run(self, *arguments, url=None, **options):
        command = [PROXY, "import-report", *map(str, arguments)]
        return subprocess.run(command, env=self.environment(url), capture_output=True, timeout=60, text=True, **options)

    def import_text(self, content, *options, network="plain"):
        return self.run(self.write(content), "--network", network, *options)

    def rows(self, sql, *parameters):
        return self.connection.execute(sql, parameters).fetchall()

    def value(self, sql, *parameters):
        return self.rows(sql, *parameters)[0][0]

    def newest(self, columns):
        return self.rows(
            f"SELECT {columns} FROM postback.report_rows WHERE import_id = (SELECT max(import_id) FROM postback.report_imports) ORDER BY line"
        )

    def counts(self):
        return self.rows(
            "SELECT (SELECT count(*) FROM postback.report_imports), (SELECT count(*) FROM postback.report_rows), "
            "(SELECT count(*) FROM postback.report_lines)"
        )[0]


@pytest.fixture(scope="module")
def reports(database, proxy, campaign, tmp_path_factory):
    return Reports(database, proxy, campaign, tmp_path_factory.mktemp("reports"))


@pytest.fixture
def untouched(reports):
    """Nothing of what this test imports may be there at its end."""
    before = reports.counts()
    yield
    assert reports.counts() == before


def now():
    return datetime.now(UTC)


def test_tune_export_is_imported_and_compared_at_once(reports):
    clicks = [reports.tap() for _ in range(3)]
    for number, click in enumerate(clicks):
        reports.convert("tune", f"aff_click_id={click}&payout=12.50&transaction_id=tune{number}&goal_id=0")
    lines = [
        f'"{now():%Y-%m-%d %H:%M:%S}",789,"Offer, the first",{click},tune{number},0,approved,{"$12.50" if number else "15.00"},USD'
        for number, click in enumerate(clicks)
    ]
    header = (
        "Stat.datetime,Stat.offer_id,Offer.name,Stat.affiliate_info1,Stat.ad_id,Stat.goal_id,Stat.conversion_status,"
        "Stat.approved_payout,Stat.currency"
    )
    done = reports.import_text("\n".join([header, *lines]) + "\n", "--reconcile", "on", network="tune")
    assert (done.returncode, done.stderr) == (0, "")
    first, *compared = done.stdout.splitlines()
    assert first.endswith(f": 3 rows, {now():%Y-%m-%d} to {now():%Y-%m-%d}, 0 could not be read")
    assert [line.split() for line in compared] == [
        ["matched", "2", "66.667", "%"],
        ["payout_differs", "unexplained", "1", "33.333", "%"],
    ]
    assert reports.rows("SELECT network, file_name, format, matched FROM postback.reconciliations JOIN postback.report_imports "
                        "USING (import_id, file_name, matched)") == [("tune", "report.csv", "tune", 2)]
    assert reports.newest("transaction_id, click_id, event, payout::text")[1] == ("tune1", clicks[1], "0", "12.50")


def test_everflow_export_is_imported_and_compared_at_once(reports):
    click = reports.tap()
    reports.convert("everflow", f"sub1={click}&transaction_id=ef1&amount=8.00")
    at = int(now().timestamp())
    lines = f"ef1,cv1,{at},789,{click},on_hold,8.00,USD\nef2,cv2,{at},789,{reports.tap()},scrubbed,8.00,USD\n"
    header = "transaction_id,conversion_id,conversion_unix_timestamp,network_offer_id,sub1,status,payout,currency_id\n"
    done = reports.import_text(header + lines, "--reconcile", "on", network="everflow")
    assert (done.returncode, done.stderr) == (0, "")
    assert reports.newest("transaction_id, status::text, extract(epoch FROM happened_at)::bigint") == [
        ("ef1", "pending", at),
        ("ef2", "rejected", at),
    ]
    # The second pays nobody, here and there.
    assert [line.split()[:-2] for line in done.stdout.splitlines()[1:]] == [["matched", "0"], ["status_differs", "status_lag", "1"]]


def test_any_other_export_is_read_by_a_mapping(reports):
    content = "Datum|Kennung|Verguetung|Zustand|Notiz\n31.03.2026 23:30|m1|1.250 EUR|bezahlt|x\n"
    done = reports.import_text(
        content,
        *("--columns", json.dumps({"time": "datum", "click_id": ["Sub", "kennung"], "payout": "Verguetung", "status": "Zustand"})),
        *("--statuses", json.dumps({"Bezahlt": "approved"})),
        *("--time-zone", "Europe/Berlin", "--dates", "dmy", "--currency", "EUR", "--ignore", ".EUR "),
        *("--first-day=2026-03-01", "--last-day=2026-03-31", "--format=generic"),
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert ": 1 rows, 2026-03-01 to 2026-03-31, 0 could not" in done.stdout
    assert reports.newest("click_id, payout::text, currency, status::text, (happened_at AT TIME ZONE 'UTC')::text") == [
        ("m1", "1250", "EUR", "approved", "2026-03-31 21:30:00")
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiter_is_seen_in_the_header(reports, delimiter):
    content = HEADER + f"d-{ord(delimiter)},t,approved,1.00,2026-03-01 10:00:00\n"
    done = reports.import_text(content.replace(",", delimiter))
    assert (done.returncode, done.stderr) == (0, "")
    assert reports.newest("click_id, payout::text") == [(f"d-{ord(delimiter)}", "1.00")]


def test_rows_that_cannot_be_read_are_named_and_the_others_are_there(reports):
    good = "b{},b{},approved,1.00,2026-04-01 10:00:00\n"
    bad = ["x,,great,1.00,2026-04-01 10:00:00", "x,,approved,one,2026-04-01 10:00:00", "x,,approved,1.00,soon", ",,approved,1.00,2026-04-01 10:00:00"]
    # Thousands without quotes shift what stands behind them; what a mail program or a broken download does cuts a line off.
    bad += ["x,,approved,1,250.00,2026-04-01 10:00:00", "x,,appr"]
    content = HEADER + good.format(1, 1) + "".join(line + "\n" for line in bad) + good.format(2, 2)
    done = reports.import_text(content)
    assert (done.returncode, done.stderr) == (2, "")
    first, *problems = done.stdout.splitlines()
    assert first.endswith("8 rows, 2026-04-01 to 2026-04-01, 6 could not be read")
    assert [problem.split(":")[0].strip() for problem in problems] == [f"line {line}" for line in range(3, 9)]
    for problem, what in zip(
        problems,
        ['the status "great"', "the amount is not a number", 'the time "soon"', "neither a click id nor a transaction id", "more fields than the header", 'the status "appr"'],
        strict=True,
    ):
        assert what in problem, problem
    assert [row[0] for row in reports.newest("line, problem") if row[1] is None] == [2, 9]


def test_row_with_more_fields_than_the_header_is_not_taken_for_right(reports):
    # Every field that is read looks right: without a comma the payout is 1,250.00.
    content = "click_id,time,payout\ns1,2026-04-02 10:00:00,1.00\ns2,2026-04-02 10:00:00,1,250.00\ns3,2026-04-02 10:00:00,1.00,,\n"
    assert reports.import_text(content).returncode == 2
    assert reports.newest("click_id, problem") == [("s1", None), ("s2", "it has more fields than the header"), ("s3", None)]


def test_decimal_comma_is_not_taken_for_one_of_thousands(reports):
    amounts = ["12,50", "1,250.00", "1,234,567", "1,2500", "12,5 ", "7.25"]
    content = "click_id;payout;time\n" + "".join(f"dc;{amount};2026-04-13 10:00:00\n" for amount in amounts)
    done = reports.import_text(content, "--ignore", "$, ")
    assert done.returncode == 2
    odd = "a comma or point in the amount does not part thousands"
    assert [row[0] for row in reports.newest("problem")] == [odd, None, None, odd, odd, None]
    assert [row[0] for row in reports.newest("payout::text")][1::4] == ["1250.00", "7.25"]


def test_no_more_than_twenty_bad_rows_are_printed(reports):
    bad = "".join(f"m{line},,great,1.00,2026-04-03 10:00:00\n" for line in range(25))
    done = reports.import_text(HEADER + "m,,approved,1.00,2026-04-03 10:00:00\n" + bad)
    assert done.returncode == 2 and len(done.stdout.splitlines()) == 22
    assert done.stdout.endswith("  and 5 more, see postback.report_problems\n")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ([], "needs a file"),
        (["report.csv"], "needs --network"),
        (["a.csv", "b.csv", "--network", "plain"], "takes one file"),
        (["report.csv", "--network"], "--network has no value"),
        (["report.csv", "--network", "plain", "--colour", "red"], 'no option "--colour"'),
        (["report.csv", "--network", "plain", "--columns", "Sub ID"], "--columns is not a JSON object"),
        (["report.csv", "--network", "plain", "--reconcile", "maybe"], "neither on nor off"),
    ],
)
def test_wrong_arguments_are_said(reports, arguments, problem):
    done = reports.run(*arguments)
    assert (done.returncode, done.stdout) == (64, "")
    assert problem in done.stderr and done.stderr.startswith("postback-proxy: ")


@pytest.mark.parametrize("url", ["", "mysql://localhost/postback"])
def test_database_that_is_not_named_rightly_is_wrong_usage(reports, url):
    environment = reports.environment() | {"POSTBACK_DATABASE_URL": url}
    command = [PROXY, "import-report", "report.csv", "--network", "plain"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30)
    assert done.returncode == 64 and "POSTBACK_DATABASE_URL" in done.stderr


def test_help_is_printed(reports):
    done = reports.run("--help")
    assert done.returncode == 0 and "--network SLUG" in done.stdout


def test_database_that_is_away_is_said(reports, untouched):
    host, port = free_address().split(":")
    done = reports.run(reports.write(HEADER), "--network", "plain", url=f"postgresql:///postback?host={host}&port={port}&user=postback")
    assert (done.returncode, done.stdout) == (1, "") and "onnect" in done.stderr


@pytest.mark.parametrize(
    ("content", "options", "problem"),
    [
        (b"", [], "it is empty"),
        (HEADER, [], "It has a header and nothing else"),
        ("name,surname\nA,B\n", [], 'no column for the field "time"'),
        (HEADER + "x,,great,1.00,2026-04-01 10:00:00\n", [], 'Line 2: the status "great" is not known.'),
        (HEADER, ["--format", "excel"], 'report format "excel" does not exist'),
        (HEADER, ["--columns", '{"colour": "red"}'], 'a field "colour" that is not known'),
        (HEADER, ["--columns", '{"payout": "Provision"}'], 'no column for the field "payout"'),
        (HEADER + "x,,approved,1.00,2026-04-01 10:00:00\n", ["--time-zone", "Mars/Base"], 'time zone "Mars/Base" is not known'),
        (HEADER + "x,,approved,1.00,2026-04-01 10:00:00\n", ["--dates", "ydm"], 'dates "ydm" is not known'),
        (HEADER + "x,,approved,1.00,2026-04-01 10:00:00\n", ["--first-day", "yesteryear"], '"yesteryear"'),
        (HEADER + "x,,approved,1.00,2026-04-01 10:00:00\n", ["--network", "nobody"], '"nobody"'),
        (HEADER.encode("utf-16"), [], "it is in UTF-16; save it as UTF-8"),
        (b"PK\x03\x04" + bytes(range(256)) * 20, [], "no column for the field"),
    ],
)
def test_file_that_is_not_right_changes_nothing(reports, untouched, content, options, problem):
    done = reports.import_text(content, *options)
    assert (done.returncode, done.stdout) == (1, "")
    assert problem in done.stderr, done.stderr


@pytest.mark.parametrize("name", ["missing.csv", "."])
def test_file_that_cannot_be_opened_is_named(reports, untouched, name):
    done = reports.run(reports.directory / name, "--network", "plain")
    assert done.returncode == 1 and f'{name if name != "." else reports.directory.name}" cannot be read' in done.stderr


def test_same_file_twice_is_refused_until_the_first_is_forgotten(reports):
    content = HEADER + "tw1,tw1,approved,1.00,2026-04-05 10:00:00\n"
    assert reports.import_text(content).returncode == 0
    before, first = reports.counts(), reports.value("SELECT max(import_id) FROM postback.report_imports")
    # Under another name, with other line ends, in another zone, and as psql loads it.
    path = reports.write(content.replace("\n", "\r\n"), "again.csv")
    again = reports.run(path, "--network", "plain", "--time-zone", "Asia/Tokyo")
    assert again.returncode == 1 and f"imported before, as import {first}" in again.stderr
    copy = f"\\copy postback.report_lines (line) FROM '{path}' WITH (FORMAT csv, DELIMITER E'\\x01', QUOTE E'\\x02')"
    psql = ["-X", "-1", "-v", "ON_ERROR_STOP=1", "-d", database_url(reports.connection), "-c", copy]
    with pytest.raises(subprocess.CalledProcessError) as refused:
        run_program("psql", *psql, "-c", "SELECT * FROM postback.import_report('plain')")
    assert f"imported before, as import {first}" in refused.value.stderr
    assert reports.counts() == before
    # Of another network it is another report.
    assert reports.run(path, "--network", "tune", "--format", "generic").returncode == 0
    reports.connection.execute("SELECT postback.delete_report(%s)", [first])
    run_program("psql", *psql, "-c", "SELECT * FROM postback.import_report('plain')")
    assert reports.newest("click_id, line") == [("tw1", 2)]


def copying(reports):
    """The process of the database that a COPY into report_lines has come to, once it has taken lines."""
    sql = "SELECT pid FROM pg_stat_progress_copy WHERE relid = 'postback.report_lines'::regclass AND tuples_processed > 0"
    return wait_until(lambda: [pid for (pid,) in reports.rows(sql)], "lines are copied")[0]


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL, "database"])
def test_interrupted_import_leaves_nothing(reports, ending):
    before = reports.counts()
    content = HEADER + "".join(f"i{line},i{line},approved,1.00,2026-04-06 10:00:00\n" for line in range(20_000))
    command = [PROXY, "import-report", "-", "--network", "plain"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=reports.environment(), **pipes) as program:
        program.stdin.write(content)
        program.stdin.flush()
        process = copying(reports)
        if ending == "database":
            reports.connection.execute("SELECT pg_terminate_backend(%s)", [process])
        else:
            program.send_signal(ending)
        _, problem = program.communicate(timeout=30)
    if ending == "database":
        assert program.returncode == 1 and problem.startswith("postback-proxy: ")
    else:
        assert program.returncode == -ending
    there = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s"
    wait_until(lambda: reports.value(there, process) == 0, "the database has noticed")
    assert reports.counts() == before
    done = reports.run("-", "--network", "plain", input=content)
    assert done.returncode == 0 and ": 20000 rows," in done.stdout
    reports.connection.execute("SELECT postback.delete_report(max(import_id)) FROM postback.report_imports")


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_mark_at_the_beginning_and_lines_in_quotes_are_read(reports, end):
    rows = [
        "note,click_id,payout,time",
        f'"two{end}lines, and ""quotes""",q1{len(end)},1.00,2026-04-07 10:00:00',
        "",
        f"plain,q2{len(end)},much,2026-04-07 10:00:00",
    ]
    done = reports.import_text("\ufeff" + end.join(rows))
    assert done.returncode == 2, done.stderr
    # As an editor counts: the note takes lines 2 and 3, the fourth is empty. The last has no end.
    assert done.stdout.splitlines()[1].startswith("  line 5: ")
    assert reports.newest("line, click_id") == [(2, f"q1{len(end)}"), (5, f"q2{len(end)}")]


def test_header_that_comes_in_pieces_is_read_as_one(reports):
    command = [PROXY, "import-report", "-", "--network", "plain"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=reports.environment(), **pipes) as program:
        # The program waits for more: it has taken the first piece, in which there is no semicolon.
        program.stdin.write("click_id")
        program.stdin.flush()
        wait_until(lambda: unread(program.stdin.fileno()) == 0, "the first piece is taken")
        out, _ = program.communicate(";payout;time\npieces;1.00;2026-04-12 10:00:00\n", timeout=30)
    assert program.returncode == 0 and ": 1 rows," in out
    assert reports.newest("click_id, payout::text") == [("pieces", "1.00")]


def unread(pipe):
    """How many bytes wait in a pipe."""
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


def test_text_that_is_not_utf8_matters_only_where_it_is_read(reports):
    lines = ["note,click_id,payout,time", "caf\u00e9,l1,1.00,2026-04-08 10:00:00", "x,l\u00e9,1.00,2026-04-08 10:00:00"]
    done = reports.import_text("\n".join(lines).encode("latin-1"))
    assert done.returncode == 2
    assert reports.newest("line, problem") == [(2, None), (3, "its id is not text in UTF-8")]


def test_zero_bytes_do_not_break_the_import_off(reports):
    done = reports.import_text(HEADER.encode() + b"z\0,,approved,1.00,2026-04-09 10:00:00\nz1,,approved,1.00,2026-04-09 10:00:00\n")
    assert done.returncode == 2 and "line 2: its id is not text in UTF-8" in done.stdout


def test_progress_is_drawn_on_a_terminal_only(reports):
    path = reports.write(HEADER + "".join(f"p{line},,approved,1.00,2026-04-10 10:00:00\n" for line in range(50_000)))
    command = [PROXY, "import-report", path, "--network", "plain"]
    controller, terminal = pty.openpty()
    try:
        # indicatif draws nothing for a terminal that calls itself dumb.
        environment = reports.environment() | {"TERM": "xterm"}
        program = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=terminal, text=True)
        os.close(terminal)
        drawn = b""
        while True:
            try:
                drawn += os.read(controller, 65536)
            except OSError:  # the program has closed its end
                break
        out, _ = program.communicate(timeout=30)
    finally:
        os.close(controller)
    assert program.returncode == 0 and ": 50000 rows," in out
    assert b"left" in drawn and b"MiB" in drawn, drawn[:300]
    reports.connection.execute("SELECT postback.delete_report(max(import_id)) FROM postback.report_imports")
    silent = reports.run(path, "--network", "plain")
    assert (silent.returncode, silent.stderr) == (0, "")
    reports.connection.execute("SELECT postback.delete_report(max(import_id)) FROM postback.report_imports")


@pytest.fixture
def role(reports):
    """The name of a role that may log in and do nothing yet."""
    name = f"importer_{reports.connection.info.dbname}"
    reports.connection.execute(f"CREATE ROLE {name} LOGIN")
    yield name
    reports.connection.execute(f"DROP OWNED BY {name}")
    reports.connection.execute(f"DROP ROLE {name}")


@pytest.mark.parametrize(("kind", "code"), [("admin", 0), ("analyst", 1), ("ingest", 1)])
def test_admins_import_and_others_may_not(reports, role, kind, code):
    reports.connection.execute("SELECT postback.grant_role(%s, %s)", [role, kind])
    url = database_url(reports.connection).replace("user=" + reports.connection.info.user, f"user={role}")
    before = reports.counts()
    path = reports.write(HEADER + "a,,approved,1.00,2026-04-11 10:00:00\n")
    done = reports.run(path, "--network", "plain", "--reconcile", "on", url=url)
    assert done.returncode == code, done.stderr
    if code:
        assert "permission denied" in done.stderr and reports.counts() == before
