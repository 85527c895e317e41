"""A worked example as its file has it: sections of rows. README.md is the grammar; nothing here knows a database."""

import csv
import itertools

ARRIVING = ("clicks", "postbacks")
TABLES = ("sends", "clicks", "conversions")
CHANGE = "update "


class Row:
    """One row of a section: its cells by column, without the empty ones."""

    def __init__(self, section, columns, cells):
        self.section, self.columns = section, columns
        self.cells = {name: cell for name, cell in zip(columns, cells, strict=True) if cell}

    def __repr__(self):
        return f"{self.section} {self.cells}"

    @property
    def arrives(self):
        """Whether it comes from outside and may come at any time; all else is decided by somebody."""
        return self.section in ARRIVING

    @property
    def is_call(self):
        return self.section not in (*TABLES, *ARRIVING) and not self.section.startswith(CHANGE)


class Example:
    """What is set up first, what happens then, and what must be the answers."""

    def __init__(self, path, is_question):
        rows = [Row(section, columns, cells) for section, columns, table in sections(path) for cells in table]
        self.questions = [row for row in rows if row.is_call and is_question(row)]
        story = [row for row in rows if row not in self.questions]
        self.setup = list(itertools.takewhile(lambda row: row.is_call or row.section == "sends", story))
        self.events = story[len(self.setup) :]

    @property
    def times(self):
        return [cell for event in self.events for name, cell in event.cells.items() if name.endswith("_at")]

    @property
    def has_equal_times(self):
        times = [event.cells["clicked_at"] for event in self.events if event.section == "clicks"]
        return len(times) > len(set(times))

    def shuffled(self, generator):
        """The events in another order of arrival. Decisions keep theirs, and calls wait until all has arrived."""
        arrivals = [event for event in self.events if event.arrives]
        decisions = [event for event in self.events if not event.arrives]
        changes = list(itertools.takewhile(lambda event: not event.is_call, decisions))
        order = generator.sample(arrivals + changes, len(arrivals) + len(changes))
        in_turn = iter(changes)
        return [event if event.arrives else next(in_turn) for event in order] + decisions[len(changes) :]


def sections(path):
    """Name, columns and rows of each section. An empty line ends it, and lines of # are for people."""
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    for filled, block in itertools.groupby((line for line in lines if not line.startswith("#")), key=bool):
        if filled:
            (name,), columns, *rows = ([cell.strip() for cell in row] for row in csv.reader(block, skipinitialspace=True))
            yield name, columns, rows
