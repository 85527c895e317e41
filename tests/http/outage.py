"""A database that is away, a role that may do what a proxy does, and a spool that runs empty."""

import contextlib
import re

from support import connect, database_url, wait_until


@contextlib.contextmanager
def away(database):
    """Nobody can connect to the database, and those who could are thrown out."""
    name = database.info.dbname
    with connect("postgres") as server:
        server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = %s AND application_name = 'postback-proxy'",
            [name],
        )
        try:
            yield
        finally:
            server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


class Ingest:
    """A role that may do what a proxy does, and how it connects."""

    def __init__(self, place):
        self.place = place
        self.url = re.sub("user=[^&]*", "user=outage_ingest", database_url(place))
        place.execute("DROP ROLE IF EXISTS outage_ingest")
        place.execute("CREATE ROLE outage_ingest LOGIN")
        self.may_call_all()

    def may_call_all(self):
        self.place.execute("SELECT postback.grant_role('outage_ingest', 'ingest')")

    def may_not_call(self, *functions):
        for (function,) in self.place.execute(
            "SELECT oid::regprocedure::text FROM pg_proc WHERE proname = ANY (%s)", [list(functions)]
        ).fetchall():
            self.place.execute(f"REVOKE EXECUTE ON FUNCTION {function} FROM outage_ingest")


def wait_until_drained(proxy):
    wait_until(lambda: proxy.metric("spool_records") == 0, "the spool is empty")
