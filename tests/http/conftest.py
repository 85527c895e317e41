"""What several HTTP tests need: a click to convert, the newest postback, deliveries, and proof that nothing was answered 5xx."""

import pytest
from outbound import Outbound


@pytest.fixture(scope="module")
def never_5xx(proxy):
    """For modules in which the database is well: nothing a client sends is answered 5xx."""
    yield
    bad = [
        line for line in proxy.admin("/metrics").text.splitlines() if 'status="5xx"' in line and not line.endswith(" 0")
    ]
    assert bad == []


@pytest.fixture
def click_id(proxy, campaign):
    """A new click to convert."""
    return proxy.get(f"/{campaign.codes[1001]}").location.split("aff_click_id=")[1]


@pytest.fixture
def last(database):
    """The newest stored postback, as a dictionary."""

    def read():
        cursor = database.execute("SELECT * FROM postback.postbacks ORDER BY postback_id DESC LIMIT 1")
        return dict(zip([column.name for column in cursor.description], cursor.fetchone()))

    return read


@pytest.fixture(scope="module")
def clicked(database, campaign):
    """The module's database with a click that conversions can name."""
    # As the proxy does.
    database.execute("SET jit = off")
    database.execute("SELECT postback.record_click(offer_id => %s, click_id => 'c1')", [campaign.offer_id])
    return database


@pytest.fixture
def outbound(clicked):
    """Destinations, receivers and proxies for one test."""
    made = Outbound(clicked)
    yield made
    made.close()
