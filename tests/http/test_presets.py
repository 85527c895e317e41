"""Every preset against its own example postback: what is known about a network is data, and the data is what is tested.

Nothing here knows a network; the one sample by hand, against the vendors' own vocabulary, is at the end. What held for
which preset is written to target/tests/presets.md, a table with a row for each.
"""

import itertools
import json
from decimal import Decimal
from urllib.parse import parse_qsl, urlencode

import pytest
from support import REPOSITORY

pytestmark = pytest.mark.usefixtures("never_5xx")

numbers = itertools.count(1)

# Field of a preset's map to the column of postback.postbacks that holds what was read.
COLUMNS = {
    "transaction_id": "transaction_id",
    "conversion_id": "transaction_id",
    "event": "event",
    "status": "raw_status",
    "payout": "payout",
    "currency": "currency",
    "offer_id": "network_offer_id",
}


@pytest.fixture(scope="module")
def presets(database):
    """All presets by name, each with a network of its own."""
    cursor = database.execute(
        "SELECT p.*, postback.add_network('Preset ' || p.preset, p.preset) AS network_id "
        "FROM postback.network_presets AS p"
    )
    names = [column.name for column in cursor.description]
    rows = [dict(zip(names, row)) for row in cursor]
    slugs = dict(database.execute("SELECT network_id, slug FROM postback.networks").fetchall())
    assert len(rows) > 30
    return {row["preset"]: row | {"slug": slugs[row["network_id"]]} for row in rows}


@pytest.fixture(scope="module")
def judge(presets):
    """Fails a test with what went wrong, tuples that begin with the preset's name, and enters it into the table."""
    columns = {}

    def enter(column, wrong):
        columns[column] = {name for name, *_ in wrong}
        assert not wrong, "\n".join(map(str, wrong))

    yield enter
    rows = [["preset", *columns], ["---"] * (1 + len(columns))]
    rows += [[name, *("no" if name in failed else "yes" for failed in columns.values())] for name in sorted(presets)]
    path = REPOSITORY / "target/tests/presets.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"| {' | '.join(row)} |\n" for row in rows), encoding="utf-8")


@pytest.fixture
def tap(proxy, campaign):
    return lambda: proxy.get(f"/{campaign.codes[1001]}").location.split("aff_click_id=")[1]


@pytest.fixture
def post(proxy, last):
    """Sends a message to a preset's network, which gets to hear 200 whatever came of it; gives what was stored."""

    def send(preset, message, statuses=(200,)):
        answer = proxy.get(f"/postback/{preset['slug']}?{urlencode(message)}")
        assert answer.status in statuses, (preset["preset"], message, answer.text)
        return last()

    return send


@pytest.fixture
def status_of(database):
    def read(conversion_id):
        rows = database.execute(
            "SELECT click_id, status::text FROM postback.conversions WHERE conversion_id = %s", [conversion_id]
        )
        return rows.fetchone()

    return read


def example(preset, click_id, status=None):
    """The example with a click, ids that no other message has, and a status where one is asked for."""
    message = dict(parse_qsl(preset["example"], strict_parsing=True))
    assert "CLICK_ID" in message.values()
    names = preset["parameters"]
    for name in names.get("transaction_id", []) + names.get("conversion_id", []):
        if message.get(name, "CLICK_ID") != "CLICK_ID":
            message[name] += f"-{next(numbers)}"
    if status is not None:
        carrier = next((name for name in names["status"] if name in message), names["status"][0])
        message[carrier] = status
    return {name: click_id if value == "CLICK_ID" else value for name, value in message.items()}


def test_example_is_accepted_and_credited_to_its_click_and_its_replay_is_a_duplicate(
    judge, presets, tap, post, status_of
):
    wrong = []
    for name, preset in presets.items():
        message = example(preset, click := tap())
        first = post(preset, message)
        credited = status_of(first["conversion_id"])
        if first["verdict"] != "accepted" or first["click_id"] != click or credited is None or credited[0] != click:
            wrong.append((name, first["verdict"], first["reason"], credited))
        again = post(preset, message)
        if again["verdict"] != "duplicate" or again["conversion_id"] != first["conversion_id"]:
            wrong.append((name, "replay", again["verdict"], again["reason"]))
    judge("its example is credited to its click, its replay is a duplicate", wrong)


def test_example_may_come_as_a_form_or_as_json(judge, presets, tap, proxy, last):
    wrong = []
    for name, preset in presets.items():
        for encode, kind in ((urlencode, "application/x-www-form-urlencoded"), (json.dumps, "application/json")):
            message = example(preset, click := tap())
            proxy.post(f"/postback/{preset['slug']}", encode(message).encode(), kind)
            stored = last()
            if (stored["verdict"], stored["click_id"]) != ("accepted", click):
                wrong.append((name, kind, stored["verdict"], stored["reason"]))
    judge("as a form and as JSON", wrong)


def test_every_parameter_of_the_example_is_read_as_what_it_is(judge, presets, tap, post):
    wrong = []
    for name, preset in presets.items():
        message = example(preset, tap())
        stored = post(preset, message)
        said = {
            field: next((message[name] for name in names if message.get(name)), None)
            for field, names in preset["parameters"].items()
        }
        for field, column in COLUMNS.items():
            value = Decimal(said[field]) if field == "payout" and said.get(field) else said.get(field)
            if value is not None and stored[column] != value:
                wrong.append((name, field, value, stored[column]))
        if said.get("time") and stored["event_at"] is None:
            wrong.append((name, "time", said["time"], stored["reason"]))
    judge("every parameter is read", wrong)


def test_every_status_word_lands_where_the_preset_says(judge, presets, tap, post, status_of):
    wrong = []
    for name, preset in presets.items():
        for word, status in preset["statuses"].items():
            for spelling in {word, word.upper()}:
                stored = post(preset, example(preset, tap(), spelling))
                landed = status_of(stored["conversion_id"])
                if landed is None or landed[1] != status:
                    wrong.append((name, spelling, status, landed, stored["verdict"], stored["reason"]))
        unknown = post(preset, example(preset, tap(), "no-such-word"))
        if unknown["verdict"] != "unmapped_status":
            wrong.append((name, "no-such-word", unknown["verdict"]))
    judge("every status word lands, upper case too; an unknown one does not", wrong)


def test_message_without_a_status_takes_the_default_or_none(judge, presets, tap, post, status_of):
    wrong = []
    for name, preset in presets.items():
        message = example(preset, tap())
        carriers = preset["parameters"]["status"]
        stored = post(preset, {key: value for key, value in message.items() if key not in carriers})
        landed = status_of(stored["conversion_id"])
        if (landed and landed[1]) != preset["default_status"] or (landed is None) != (
            stored["verdict"] == "unmapped_status"
        ):
            wrong.append((name, preset["default_status"], landed, stored["verdict"]))
    judge("without a status", wrong)


def test_macro_that_was_not_resolved_is_no_click_id(judge, presets, post, status_of):
    wrong = []
    for name, preset in presets.items():
        macros = dict(preset["macros"])
        [slot] = [key for key, value in parse_qsl(preset["example"]) if value == "CLICK_ID"]
        message = example(preset, macros[slot])
        # The click id alone; and the whole URL as it was pasted, which is what a network's test button sends.
        for sent in (message, macros):
            stored = post(preset, sent, statuses=(200, 400))
            if stored["click_id"] is not None or stored["verdict"] in ("accepted", "updated", "duplicate"):
                wrong.append((name, sent, stored["verdict"], stored["click_id"]))
            if status_of(stored["conversion_id"]) is not None:
                wrong.append((name, sent, "has a conversion"))
            if "macro that the network did not resolve" not in (stored["reason"] or "") and sent is message:
                wrong.append((name, macros[slot], stored["reason"]))
    judge("an unresolved macro is caught", wrong)


def test_presets_agree_with_themselves(judge, presets, database):
    wrong = []
    for name, preset in presets.items():
        known = {parameter for names in preset["parameters"].values() for parameter in names}
        macros = [parameter for parameter, _ in preset["macros"]]
        sent = [parameter for parameter, _ in parse_qsl(preset["example"])]
        if macros != sent:
            wrong.append((name, "the example has other parameters than the URL", macros, sent))
        for parameter in macros:
            # What goes into a hash is read by no field; the notes say what it is for.
            if parameter not in known and f"{{{parameter}}}" not in (preset["notes"] or ""):
                wrong.append((name, "asked for and not read", parameter))
        for parameter in preset["unconfirmed"]:
            if parameter in macros or parameter not in known:
                wrong.append((name, "unconfirmed, yet asked for or not accepted", parameter))
        if set(preset["statuses"].values()) - {"pending", "approved", "rejected", "reversed"}:
            wrong.append((name, "a status that is none"))
        for check, column in (("parameters", "parameters"), ("statuses", "statuses"), ("dedupe", "dedupe")):
            database.execute(
                f"SELECT _postback.check_{check}({column}) FROM postback.network_presets WHERE preset = %s", [name]
            )
    judge("agrees with itself", wrong)


def test_postback_url_and_offer_url_hint_print_the_macros_as_they_are(presets, database):
    for name, preset in presets.items():
        [(url, hint)] = database.execute(
            "SELECT postback.postback_url(%s, 'https://s.example.com/'), postback.offer_url_hint(%s)",
            [preset["slug"]] * 2,
        ).fetchall()
        pasted = "&".join(f"{parameter}={macro}" for parameter, macro in preset["macros"])
        assert url == f"https://s.example.com/postback/{preset['slug']}?{pasted}", name
        assert hint == f"{preset['click_slot']}={{click_id}}", name


# By hand, from the vendors' vocabulary.
@pytest.mark.parametrize(
    "name, statuses",
    [
        ("affise", {"1": "approved", "2": "pending", "3": "rejected", "5": "pending"}),
        (
            "impact",
            {
                "PENDING": "pending",
                "APPROVED": "approved",
                "LOCKED": "approved",
                "PAID": "approved",
                "REVERSED": "reversed",
            },
        ),
        (
            "altercpa",
            {"wait": "pending", "hold": "pending", "approve": "approved", "cancel": "rejected", "trash": "rejected"},
        ),
        (
            "everflow",
            {
                "approved": "approved",
                "pending": "pending",
                "on_hold": "pending",
                "rejected": "rejected",
                "invalid": "rejected",
            },
        ),
        ("clickbank", {"PURCHASE": "approved", "UPSELL": "approved", "RFND": "reversed", "CGBK": "reversed"}),
    ],
)
def test_words_of_a_sample_of_networks(presets, tap, post, status_of, name, statuses):
    preset = presets[name]
    landed = {word: status_of(post(preset, example(preset, tap(), word))["conversion_id"]) for word in statuses}
    assert {word: status for word, (_, status) in landed.items()} == statuses
