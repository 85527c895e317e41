"""The worked examples: what happened goes in by the public roads, and the reports must answer what the file says.

Answers are compared as they are, without rounding.
"""

import decimal
import functools
import pathlib
import random

import pytest
from example import CHANGE, TABLES, Example
from psycopg import sql

FILES = sorted(pathlib.Path(__file__).parent.glob("*.csv"))
SHUFFLES = 4
# What a row of `postbacks` holds beside the parameters of the message.
AROUND_THE_MESSAGE = ("network", "received_at", "verdict")
OFFER = {"name": "Offer", "offer_id": "1", "url_template": "https://network.example.com/{click_id}"}


class Story:
    """Tells an example to a database and asks for the answers."""

    def __init__(self, connection, example, own_ids=False):
        self.connection, self.example, self.own_ids = connection, example, own_ids
        self.click_ids, self.verdicts = {}, []
        if not any(row.section == "add_offer" for row in example.setup):
            self.call("add_offer", OFFER)
        for row in example.setup:
            self.tell(row)

    def rows(self, query, parameters=()):
        return self.connection.execute(query, list(parameters)).fetchall()

    def call(self, function, arguments, columns=("*",)):
        query = sql.SQL("SELECT {} FROM postback.{}({})").format(
            sql.SQL(", ").join(sql.SQL(column) for column in columns),
            sql.Identifier(function),
            sql.SQL(", ").join(sql.SQL("{} => %s").format(sql.Identifier(name)) for name in arguments),
        )
        return self.rows(query, arguments.values())

    def click_id(self, name):
        """The click's name in the file, or the id of our own that stands for it."""
        for event in self.example.events if self.own_ids and name not in self.click_ids else ():
            if event.section == "clicks" and event.cells["click_id"] == name:
                where = event.cells.get("subscriber_id"), event.cells["clicked_at"]
                ((self.click_ids[name],),) = self.rows("SELECT postback.mint_click_id(%s::bigint, %s::timestamptz)", where)
        return self.click_ids.get(name, name)

    def tell(self, row):
        """False when the row is about something that is not there yet."""
        cells = dict(row.cells)
        if "click_id" in cells:
            cells["click_id"] = self.click_id(cells["click_id"])
        if row.section == "postbacks":
            return self.receive(**cells)
        if row.section in TABLES:
            return self.insert(row.section, cells)
        if row.section.startswith(CHANGE):
            return self.update(row.section.removeprefix(CHANGE), cells)
        self.call(row.section, cells)
        return True

    def receive(self, received_at, network="default", verdict=None, **parameters):
        query = "&".join(f"{name}={value}" for name, value in parameters.items())
        ((actual, *_),) = self.call("receive_postback", {"network": network, "query": query, "now": received_at})
        self.verdicts.append((query, actual, verdict or actual))
        return True

    def insert(self, table, cells):
        if table == "conversions" and not self.is_known(cells.get("click_id")):
            return False
        if table == "sends":
            cells = {"base_url": "https://s.example.com"} | cells
        query = sql.SQL("INSERT INTO postback.{} ({}) VALUES ({}) RETURNING true").format(
            sql.Identifier(table),
            sql.SQL(", ").join(map(sql.Identifier, cells)),
            sql.SQL(", ").join(sql.Placeholder() for _ in cells),
        )
        return bool(self.rows(query, cells.values()))

    def is_known(self, click_id):
        return click_id is None or self.rows("SELECT FROM postback.clicks WHERE click_id = %s", [click_id])

    def update(self, table, cells):
        key, *changed = cells
        query = sql.SQL("UPDATE postback.{} SET {} WHERE {} = %s RETURNING true").format(
            sql.Identifier(table),
            sql.SQL(", ").join(sql.SQL("{} = %s").format(sql.Identifier(name)) for name in changed),
            sql.Identifier(key),
        )
        return bool(self.rows(query, [cells[name] for name in (*changed, key)]))

    def unfold(self, events, maintained_after=None):
        """Tells the events. One about something that is not there yet waits for it, and later decisions with it."""
        waiting = []
        for place, event in enumerate(events):
            if (waiting and not event.arrives) or not self.tell(event):
                waiting.append(event)
            while waiting and self.tell(waiting[0]):
                waiting.pop(0)
            if place == maintained_after:
                self.maintain()
        assert not waiting, "these were about something that never came"

    def maintain(self):
        self.call("maintain", {"now": max(self.example.times)})

    def check(self, arguments_of):
        """All rows with the same arguments are the answer to one question."""
        questions = {}
        for row in self.example.questions:
            known = arguments_of(row.section)
            arguments = tuple((name, cell) for name, cell in row.cells.items() if name in known)
            results = tuple(name for name in row.columns if name not in known)
            answer = questions.setdefault((row.section, arguments, results), [])
            if len(row.cells) > len(arguments):
                answer.append([self.value(name, row.cells.get(name)) for name in results])
        for (function, arguments, results), answer in questions.items():
            rows = self.call(function, dict(arguments), [f"{name}::text" for name in results])
            actual = [[number(cell) for cell in row] for row in rows]
            assert as_lines(actual) == as_lines(answer), f"{function}({dict(arguments)})"

    def value(self, name, cell):
        return number(self.click_id(cell) if name == "click_id" and cell else cell)


def number(text):
    """A number by its value (5.00 is 5), anything else as it is written."""
    try:
        return decimal.Decimal(text).normalize() + 0
    except (TypeError, decimal.InvalidOperation):
        return text


def as_lines(rows):
    """A row a line, in one order: what pytest shows best of two answers that differ."""
    return sorted(" | ".join("" if cell is None else f"{cell}" for cell in row) for row in rows)


@pytest.fixture(scope="module")
def arguments_of(database):
    """The names of a function's arguments."""
    query = "SELECT proargnames[1:pronargs] FROM pg_proc WHERE oid = to_regproc(%s)"
    return functools.cache(lambda function: database.execute(query, [f"postback.{function}"]).fetchone()[0])


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def example(request, arguments_of):
    return Example(request.param, lambda row: bool(set(row.columns) - set(arguments_of(row.section))))


@pytest.fixture
def tell(database, example):
    """Begins the example's story in a transaction that is taken back."""
    with database.transaction(force_rollback=True):
        yield lambda own_ids=False: Story(database, example, own_ids)


def test_the_story_as_written(tell, example, arguments_of):
    story = tell()
    story.unfold(example.events)
    assert not [told for told in story.verdicts if told[1] != told[2]]
    story.check(arguments_of)
    story.maintain()
    story.check(arguments_of)


@pytest.mark.parametrize("shuffle", range(SHUFFLES))
def test_another_order_of_arrival(tell, example, arguments_of, shuffle):
    generator = random.Random(shuffle)
    order = example.shuffled(generator)
    # Ids of our own carry no order within a millisecond.
    story = tell(own_ids=shuffle % 2 == 1 and not example.has_equal_times)
    story.unfold(order, maintained_after=generator.randrange(len(order)))
    story.check(arguments_of)
