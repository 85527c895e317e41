"""The fixtures of the Python tests: a database, a proxy and a campaign, one of each per module.

Run through `tests/run http` or `tests/run dump_restore`, which make the cluster and set PGHOST, PGPORT and PGUSER.
"""

import pytest
from support import Campaign, Databases, Proxy, connect, database_url


@pytest.fixture(scope="module")
def databases():
    """The maker of databases; each module has its own."""
    made = Databases()
    yield made
    made.drop_all()


@pytest.fixture(scope="module")
def database(databases):
    """A connection to the module's database, with the extension and the data model."""
    with connect(databases.create()) as connection:
        yield connection


@pytest.fixture(scope="module")
def start_proxy():
    """Starts proxies with settings of their own: start_proxy(url, batch_limit=1). All are stopped at the end, and none
    may have panicked by then."""
    started = []

    def start(url, **settings):
        started.append(Proxy(url, **settings))
        return started[-1].wait_until_ready()

    yield start
    for proxy in started:
        proxy.stop()
    for proxy in started:
        assert "panicked" not in proxy.log


@pytest.fixture(scope="module")
def proxy(start_proxy, database):
    """A proxy with default settings in front of the module's database."""
    return start_proxy(database_url(database))


@pytest.fixture(scope="module")
def campaign(database):
    """The field's standard example: campaign 456, offer 789, three subscribers."""
    return Campaign(database)
