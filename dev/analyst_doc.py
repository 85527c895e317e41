#!/usr/bin/env python3
"""`make docs`: runs the queries of docs/analyst.md on the data of dev/analyst_data.sql, each in a ```sql block, and writes what psql
prints into the block after it. `--check` only compares."""

import re
import subprocess
import sys

from sql_api import REPOSITORY, write_or_check

PAGE = REPOSITORY / "docs/analyst.md"
DATA = REPOSITORY / "dev/analyst_data.sql"
QUESTION = re.compile(r"(```sql\n(.*?)```\n\n```\n).*?(```\n)", re.DOTALL)
SETTINGS = ["-P", "footer=off", "-P", "null=", "-v", "ON_ERROR_STOP=1"]


def psql(database, *arguments):
    command = ["psql", "-X", "-q", "-d", "postgres", *SETTINGS, *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=database.environment).stdout


def answer(database, query):
    """What psql prints, without the blanks at the ends of lines."""
    return re.sub(r" +$", "", psql(database, "-c", "SET ROLE analyst", "-c", query).rstrip("\n"), flags=re.MULTILINE) + "\n"


def page(database):
    psql(database, "-c", "CREATE ROLE analyst", "-c", "SELECT postback.grant_role('analyst', 'analyst')", "-f", str(DATA))
    written = PAGE.read_text(encoding="utf-8")
    return QUESTION.sub(lambda block: block[1] + answer(database, block[2]) + block[3], written)


if __name__ == "__main__":
    sys.exit(write_or_check(__doc__, PAGE, page, "does not say what the database answers"))
