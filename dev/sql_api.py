#!/usr/bin/env python3
"""`make docs`: writes docs/sql-api.md from the comments in the catalog of a fresh database. `--check` only compares."""

import argparse
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
PAGE = REPOSITORY / "docs/sql-api.md"

HEAD = """# SQL interface

Written by `make docs` from the comments in the catalog: change the comments in `sql/`, not this page. Everything is in
schema `postback`. What is in `_postback` is internal, and no promise is made about it.
"""

FUNCTIONS = """
    SELECT p.proname, pg_get_function_arguments(p.oid), pg_get_function_result(p.oid), obj_description(p.oid, 'pg_proc')
    FROM pg_proc AS p WHERE p.pronamespace = 'postback'::regnamespace ORDER BY p.proname, p.oid::regprocedure::text"""
RELATIONS = """
    SELECT c.relname, obj_description(c.oid, 'pg_class'), c.oid
    FROM pg_class AS c
    WHERE c.relnamespace = 'postback'::regnamespace AND c.relkind = ANY ({kinds}) AND NOT c.relispartition
    ORDER BY c.relname"""
COLUMNS = """
    SELECT a.attname, format_type(a.atttypid, a.atttypmod)
           || CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END, coalesce(col_description(a.attrelid, a.attnum), '')
    FROM pg_attribute AS a WHERE a.attrelid = {oid} AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"""
TYPES = """
    SELECT t.typname || ' (' || CASE t.typtype
               WHEN 'd' THEN 'domain over ' || format_type(t.typbasetype, t.typtypmod)
               ELSE (SELECT string_agg(e.enumlabel, ', ' ORDER BY e.enumsortorder)
                     FROM pg_enum AS e WHERE e.enumtypid = t.oid)
           END || ')',
           obj_description(t.oid, 'pg_type')
    FROM pg_type AS t
    WHERE t.typnamespace = 'postback'::regnamespace AND t.typtype IN ('e', 'd') ORDER BY t.typname"""


class FreshDatabase:
    """A cluster in a temporary directory with the extension installed; gone at the end of the `with`."""

    def __enter__(self):
        self.directory = tempfile.mkdtemp(prefix="postback-docs.")
        os.chmod(self.directory, 0o755)
        self.cluster = pathlib.Path(self.directory) / "cluster"
        self.manage("start")
        exports = shlex.split(self.manage("env"))[1:]
        self.environment = os.environ | dict(export.split("=", 1) for export in exports)
        self.rows("CREATE EXTENSION postback; SELECT postback.install()")
        return self

    def __exit__(self, *_):
        self.manage("remove")
        os.rmdir(self.directory)

    def manage(self, command):
        program = [REPOSITORY / "dev/cluster", command, self.cluster]
        return subprocess.run(program, check=True, stdout=subprocess.PIPE, text=True).stdout

    def rows(self, query):
        separators = ["-F", "\t", "-R", "\x1e"]
        command = ["psql", "-X", "-q", "-At", *separators, "-v", "ON_ERROR_STOP=1", "-d", "postgres", "-c", query]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=self.environment).stdout
        return [row.split("\t") for row in output.rstrip("\n").split("\x1e") if row]


def signature(name, arguments, result):
    """As one would write it: defaults without their casts, a long one with an argument a line."""
    shown = re.sub(r"(DEFAULT (?:'[^']*'|[\w.()]+))::[\w. ]+(\[\])?", r"\1", arguments)
    shown = f"{name}({shown}) → {result}".replace("timestamp with time zone", "timestamptz")
    if len(shown) > 100:
        shown = shown.replace("(", "(\n    ", 1).replace(", ", ",\n    ")
    return shown


def cell(text):
    return text.replace("|", "\\|").replace("\n", " ")


def page(database):
    parts = [HEAD, "## Functions\n"]
    for name, arguments, result, comment in database.rows(FUNCTIONS):
        parts.append(f"### {name}\n\n```\n{signature(name, arguments, result)}\n```\n\n{comment}\n")
    for title, kinds in (("Tables", "'{r,p}'"), ("Views", "'{v,m}'")):
        parts.append(f"## {title}\n")
        for name, comment, oid in database.rows(RELATIONS.format(kinds=kinds)):
            parts.append(f"### {name}\n\n{comment}\n\n| column | type | |\n|---|---|---|")
            columns = database.rows(COLUMNS.format(oid=oid))
            parts.append("\n".join(f"| {column} | {kind} | {cell(what)} |" for column, kind, what in columns) + "\n")
    parts.append("## Types\n\n| type | |\n|---|---|")
    parts.append("\n".join(f"| {cell(name)} | {cell(comment)} |" for name, comment in database.rows(TYPES)) + "\n")
    return "\n".join(parts)


def write_or_check(description, path, page, complaint):
    """The program of a generated page: writes it from a fresh database, or with --check only compares. The exit code."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--check", action="store_true", help="fail when the page is not what the database says")
    options = parser.parse_args()
    with FreshDatabase() as database:
        text = page(database)
    if not options.check:
        path.write_text(text, encoding="utf-8")
    elif not path.exists() or path.read_text(encoding="utf-8") != text:
        print(f"{path.relative_to(REPOSITORY)} {complaint} (make docs)", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(write_or_check(__doc__, PAGE, page, "is not what the catalog says"))
