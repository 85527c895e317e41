#!/usr/bin/env python3
"""`make docs`: writes docs/networks.md from the presets of a fresh database. `--check` only compares."""

import json
import sys

from sql_api import REPOSITORY, cell, write_or_check

PAGE = REPOSITORY / "docs/networks.md"

HEAD = """# Networks

Written by `make docs` from `postback.network_presets`: change the presets in `sql/presets/`, not this page.

A network that sends postbacks is added from its preset, and prints the two URLs to paste:

```sql
SELECT postback.add_network('My TUNE', 'tune');
SELECT postback.offer_url_hint('my-tune');                          -- what to append to the network's offer link
SELECT postback.postback_url('my-tune', 'https://s.example.com');   -- what to paste into the network
```

Below, `https://s.example.com` stands for your short domain and the last part of the path for the network's slug.

- **Every name of a field is accepted**, the first that is there and not empty counts. Names marked *unconfirmed* appear on no page of
  the vendor: they are read where they come, and never asked for.
- **Status words** are compared without regard to case. A word that the network does not have is kept as `unmapped_status` and moves
  nothing; the same goes for a message without a status where none is the default. Any network may be sent a constant, such as
  `&status=pending`, typed into the URL.
- **One conversion per key**: the first recipe whose leading field is in the message makes the key. A further message of that key moves
  the conversion, or is a `duplicate`.
- `REPLACE` and `OPTIONAL` stand for a macro that only your account at the network can show. Left as they are, they are recognised like
  any macro that was not resolved: never taken for a click id, never for an amount.
- Everything can be said otherwise for one network, for instance `add_network('Mine', 'affise', currency => 'EUR', statuses =>
  '{"4": "rejected"}', parameters => '{"click_id": ["cid"]}')`: status words are added to those of the preset, the names of a field
  replace them. `click_slot => 'aff_sub3', macros => '[["click_id", "{aff_sub3}"], ["payout", "{payout}"]]'` are another slot of the
  offer link and another URL to paste; `slug => 'mine'` is another name in that URL.
"""

PRESETS = """
    SELECT json_build_object('preset', p.preset, 'title', p.title, 'click_slot', p.click_slot, 'macros', p.macros,
        'parameters', p.parameters, 'statuses', p.statuses, 'default_status', p.default_status, 'dedupe', p.dedupe,
        'currency', p.currency, 'time_zone', p.time_zone, 'joins_payouts', p.joins_payouts, 'unconfirmed', p.unconfirmed,
        'example', p.example, 'notes', p.notes)
    FROM postback.network_presets AS p ORDER BY lower(p.title) COLLATE "C" """

FIELDS = {
    "click_id": "click id",
    "transaction_id": "transaction id",
    "conversion_id": "conversion id",
    "event": "event",
    "status": "status",
    "payout": "payout",
    "currency": "currency",
    "offer_id": "offer",
    "time": "time",
    "token": "token",
    "signature": "hash",
}
STATUSES = ("pending", "approved", "rejected", "reversed")


def code(text):
    return f"`{cell(text)}`"


def names(preset, field):
    unconfirmed = {name: " *unconfirmed*" for name in preset["unconfirmed"]}
    return ", ".join(code(name) + unconfirmed.get(name, "") for name in preset["parameters"][field])


def statuses(preset):
    rows = []
    for status in STATUSES:
        words = [code(word) for word in sorted(preset["statuses"]) if preset["statuses"][word] == status]
        if preset["default_status"] == status:
            words.append("a message without a status")
        if words:
            rows.append(f"| {status} | {', '.join(words)} |")
    return "| conversion | words |\n|---|---|\n" + "\n".join(rows)


def section(preset):
    url = "&".join(f"{parameter}={macro}" for parameter, macro in preset["macros"])
    known = [field for field in FIELDS if preset["parameters"].get(field)]
    fields = "\n".join(f"| {FIELDS[field]} | {names(preset, field)} |" for field in known)
    recipes = [" + ".join(FIELDS[field] for field in recipe.split(",")) for recipe in preset["dedupe"]]
    facts = [
        f"One conversion per {', else '.join(recipes)}.",
        f"Payouts are in {preset['currency']} unless the message says otherwise.",
        f"Times without a zone are in {preset['time_zone']}." if preset["parameters"].get("time") else "",
        "Several payouts joined by commas are added." if preset["joins_payouts"] else "",
        "A message without a status is refused as `unmapped_status`." if preset["default_status"] is None else "",
    ]
    return f"""## {preset['title']}

Preset `{preset['preset']}`. {preset['notes']}

Append to the offer link, behind its `?` or `&`:

```
{preset['click_slot']}={{click_id}}
```

Paste into the network:

```
https://s.example.com/postback/{preset['preset'].replace('_', '-')}?{url}
```

It then sends, for example:

```
{preset['example']}
```

{' '.join(fact for fact in facts if fact)}

{statuses(preset)}

| field | parameters |
|---|---|
{fields}
"""


def page(database):
    presets = [json.loads(row[0]) for row in database.rows(PRESETS)]
    contents = "\n".join(f"- [{preset['title']}](#{anchor(preset['title'])})" for preset in presets)
    return "\n".join([HEAD, contents + "\n", *(section(preset) for preset in presets)])


def anchor(title):
    """As Markdown renderers make it from a heading."""
    return "".join(letter for letter in title.lower().replace(" ", "-") if letter.isalnum() or letter in "-_")


if __name__ == "__main__":
    sys.exit(write_or_check(__doc__, PAGE, page, "is not what the presets say"))
