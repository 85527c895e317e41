"""A database whose deliveries may reach this machine, and what the tests ask of it."""

from receiver import Receiver
from support import Proxy, database_url, wait_until

FAST_RETRIES = "{" + ",".join(["100 milliseconds"] * 8) + "}"


class Outbound:
    """Conversions, destinations with their receivers, and the proxies that send; `close` ends them all.

    Begins with no destination and an empty queue; the campaign and the click c1 are there already.
    """

    def __init__(self, connection):
        self.connection = connection
        self.receivers, self.proxies, self.conversions = [], [], 0
        self.last = self.value("SELECT count(*) FROM postback.conversions")
        connection.execute("TRUNCATE postback.deliveries, postback.alerts, _postback.delivery_exceptions")
        connection.execute("DELETE FROM postback.destinations")
        connection.execute("SELECT postback.allow_deliveries_to('127.0.0.0/8', 'the receivers of the tests')")

    def receiver(self, *answers, **options):
        self.receivers.append(Receiver(*answers, **options))
        return self.receivers[-1]

    def add(self, name, url, **columns):
        """A destination with fast retries unless told otherwise; gives its id."""
        columns = {"name": name, "url_template": url, "retry_after_failures": FAST_RETRIES} | columns
        arguments = ", ".join(f"{column} => %s" for column in columns)
        return self.value(f"SELECT postback.add_destination({arguments})", *columns.values())

    def start(self, user=None, **settings):
        url = database_url(self.connection)
        if user:
            url = url.replace(f"user={self.connection.info.user}", f"user={user}")
        self.proxies.append(Proxy(url, **settings))
        return self.proxies[-1].wait_until_ready()

    def convert(self, count=1):
        """So many new conversions, in one transaction; the last transaction id, a number."""
        first, self.last = self.last + 1, self.last + count
        self.conversions += count
        self.connection.execute(
            """SELECT count(*) FROM generate_series(%s::integer, %s::integer) AS n, LATERAL postback.receive_postback(
                   'default', 'click_id=c1&payout=1.00&status=approved&transaction_id=' || n) AS r""",
            [first, self.last],
        )
        return self.last

    def value(self, query, *parameters):
        return self.connection.execute(query, parameters).fetchone()[0]

    def deliveries(self, destination, columns):
        """Columns of the destination's deliveries."""
        query = f"""SELECT {columns} FROM postback.deliveries WHERE destination_id = %s ORDER BY delivery_id"""
        return self.connection.execute(query, [destination]).fetchall()

    def count(self, destination, state):
        query = "SELECT count(*) FROM postback.deliveries WHERE destination_id = %s AND state = %s"
        return self.value(query, destination, state)

    def wait_for(self, destination, state, count=None):
        """Until so many of the destination's deliveries, or one for each conversion, have come to a state."""
        count = self.conversions if count is None else count
        wait_until(lambda: self.count(destination, state) == count, f"{count} deliveries are {state}")

    def close(self):
        for proxy in self.proxies:
            proxy.stop()
            assert "panicked" not in proxy.log
        # A backend may have something to finish that the next test's beginning would get in the way of.
        mine = "application_name = 'postback-proxy' AND datname = current_database()"
        wait_until(lambda: self.value(f"SELECT count(*) FROM pg_stat_activity WHERE {mine}") == 0, "the proxies' backends have ended")
        for receiver in self.receivers:
            receiver.close()
