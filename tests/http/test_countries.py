"""The country of a click: told by a file of the operator's, kept with the click, and never a reason to lose it."""

import os
import subprocess

import countries_file
import pytest
from support import PROXY, database_url
from wire import exchange, request

NETWORKS = {
    "203.0.113.0/25": "US",
    "203.0.113.128/25": "CA",
    "198.51.100.7/32": "FR",
    "2001:db8:2::/48": "DE",
    # What the column would refuse.
    "192.0.2.0/28": "usa",
    "192.0.2.16/28": "us",
    "192.0.2.32/28": "\u00c5A",
    "192.0.2.48/28": "",
}


@pytest.fixture(scope="module")
def knowing(start_proxy, database, tmp_path_factory):
    file = countries_file.write(tmp_path_factory.mktemp("countries") / "countries.mmdb", NETWORKS)
    return start_proxy(database_url(database), trusted_proxies="127.0.0.1", countries_file=file)


def country_of(database, click_id):
    return database.execute("SELECT country FROM postback.clicks WHERE click_id = %s", [click_id]).fetchone()[0]


@pytest.mark.parametrize(
    ("client", "country"),
    [
        ("203.0.113.5", "US"),
        ("203.0.113.200", "CA"),
        ("198.51.100.7", "FR"),
        ("198.51.100.8", None),
        ("::ffff:203.0.113.5", "US"),
        ("2001:db8:2::7", "DE"),
        ("2001:db8:3::7", None),
        ("192.0.2.1", None),
        ("192.0.2.17", None),
        ("192.0.2.33", None),
        ("192.0.2.49", None),
    ],
)
def test_click_has_the_country_of_its_address(knowing, database, campaign, client, country):
    answer = exchange(knowing, request(f"/{campaign.codes[1001]}", headers=[("X-Forwarded-For", client)]))
    assert answer.status == 302
    assert country_of(database, answer.location.split("aff_click_id=")[1]) == country


def test_click_of_a_link_made_elsewhere_has_it_too(knowing, database, campaign):
    answer = exchange(knowing, request("/click?campaign=456&click_id=from-canada", headers=[("X-Forwarded-For", "203.0.113.200")]))
    assert answer.status == 302
    assert country_of(database, "from-canada") == "CA"


def test_without_a_file_no_country_is_known(proxy, database, campaign):
    answer = exchange(proxy, request(f"/{campaign.codes[1001]}"))
    assert country_of(database, answer.location.split("aff_click_id=")[1]) is None


def test_file_that_is_no_database_is_a_problem_of_the_configuration(tmp_path):
    file = tmp_path / "countries.mmdb"
    file.write_bytes(b"country,US\n")
    environment = os.environ | {"POSTBACK_DATABASE_URL": "postgres:///x", "POSTBACK_COUNTRIES_FILE": str(file)}
    ended = subprocess.run([PROXY], env=environment, capture_output=True, text=True, timeout=30)
    assert ended.returncode == 64
    assert f'POSTBACK_COUNTRIES_FILE "{file}"' in ended.stderr


def test_file_that_breaks_off_loses_no_click(start_proxy, database, campaign, tmp_path):
    """A name in its records is said to be longer than the file."""
    whole = countries_file.write(tmp_path / "whole.mmdb", NETWORKS).read_bytes()
    broken = tmp_path / "broken.mmdb"
    broken.write_bytes(whole.replace(countries_file.text("iso_code"), b"\x5f" + b"\xff" * 8))
    proxy = start_proxy(database_url(database), trusted_proxies="127.0.0.1", countries_file=broken)
    answer = exchange(proxy, request(f"/{campaign.codes[1001]}", headers=[("X-Forwarded-For", "203.0.113.5")]))
    assert answer.status == 302
    assert country_of(database, answer.location.split("aff_click_id=")[1]) is None
