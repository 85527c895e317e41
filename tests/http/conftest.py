"""What every HTTP test asks of its proxies: no panic, whatever was sent."""

import pytest
from support import Proxy


@pytest.fixture(scope="module")
def start_proxy():
    """As in tests/conftest.py; besides, no proxy may have panicked by the end."""
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
def never_5xx(proxy):
    """For modules in which the database is well: nothing a client sends is answered 5xx."""
    yield
    bad = [
        line for line in proxy.admin("/metrics").text.splitlines() if 'status="5xx"' in line and not line.endswith(" 0")
    ]
    assert bad == []
