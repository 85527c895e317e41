"""What several HTTP tests need: a click to convert, the newest postback, deliveries, a database of one test, and proof that nothing was
answered 5xx."""

import pytest
from outage import Ingest
from outbound import Outbound
from support import Campaign, connect, database_url, wait_until


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


@pytest.fixture
def place(databases):
    """A database with a campaign, for one test."""
    with connect(databases.create()) as connection:
        connection.campaign = Campaign(connection)
        yield connection


@pytest.fixture
def start_spooling(start_proxy, place, tmp_path):
    """Starts a proxy with a spool that knows the routes."""

    def start(url=None, **settings):
        proxy = start_proxy(url or database_url(place), spool=tmp_path / "spool", **settings)
        wait_until((tmp_path / "spool/routes.json").exists, "the routes are on disk")
        return proxy

    return start


@pytest.fixture
def ingest(place):
    yield Ingest(place)
    place.execute("DROP OWNED BY outage_ingest")
    place.execute("DROP ROLE outage_ingest")
