"""A PostgreSQL cluster and a proxy that are stopped, killed and frozen: for these tests alone, with fsync on."""

import os
import pathlib
import shlex
import shutil
import signal
import subprocess

import psycopg
from support import REPOSITORY, Campaign, Proxy, wait_until

TOOL = REPOSITORY / "dev/cluster"
TEMPLATE = "postback_template"


def is_alive(process):
    """Whether a process runs: neither gone nor a zombie."""
    try:
        return pathlib.Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


class Cluster:
    """A cluster of its own in a directory."""

    def __init__(self, directory, **settings):
        self.directory = directory
        self.environment = {}  # of the server, from its next start on
        self.settings = [argument for name, value in settings.items() for argument in ("--set", f"{name}={value}")]
        self.tool("start", *self.settings).check_returncode()
        self.read_address()
        self.databases = 0
        with self.connect("postgres") as server:
            server.execute(f"CREATE DATABASE {TEMPLATE}")
        with self.connect(TEMPLATE) as database:
            database.execute("CREATE EXTENSION postback")
            database.execute("SELECT postback.install()")

    def read_address(self):
        printed = subprocess.run([TOOL, "env", self.directory], check=True, capture_output=True, text=True).stdout
        settings = dict(word.split("=", 1) for word in shlex.split(printed) if "=" in word)
        self.address = {"host": settings["PGHOST"], "port": settings["PGPORT"], "user": settings["PGUSER"]}
        self.home = pathlib.Path(settings["PGPASSFILE"]).parent

    def create_database(self):
        self.databases += 1
        name = f"postback_{self.databases}"
        with self.connect("postgres") as server:
            server.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        return name

    def drop_database(self, name):
        with self.connect("postgres") as server:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def start(self):
        """On the port it had; what a killed server leaves behind may take a moment to let go of it."""
        wait_until(lambda: self.tool("start", "--port", self.address["port"], *self.settings).returncode == 0, "the cluster starts")

    def stop(self):
        self.tool("stop").check_returncode()

    def remove(self):
        self.tool("remove").check_returncode()

    def tool(self, command, *arguments):
        # Not by its first line: that is `env`, which would leave the shared memory of a faked clock behind.
        command = ["bash", TOOL, command, self.directory, *arguments]
        return subprocess.run(command, env=os.environ | self.environment, capture_output=True, stdin=subprocess.DEVNULL)

    def connect(self, name):
        return psycopg.connect(dbname=name, autocommit=True, **self.address)

    def url(self, name, *others):
        """Of a database, here or on another cluster, whichever takes writes."""
        hosts, ports = (",".join(cluster.address[key] for cluster in (self, *others)) for key in ("host", "port"))
        return f"dbname={name} host={hosts} port={ports} user={self.address['user']}"

    @property
    def postmaster(self):
        return int((self.home / "data/postmaster.pid").read_text().split()[0])

    def processes(self):
        """The postmaster and its children."""
        children = pathlib.Path(f"/proc/{self.postmaster}/task/{self.postmaster}/children").read_text().split()
        return [self.postmaster, *map(int, children)]

    def kill_postmaster(self, *others):
        """And others of its processes that would not notice."""
        processes = self.processes()
        for process in (processes[0], *others):
            os.kill(process, signal.SIGKILL)
        # Where nobody reaps orphans, the dead postmaster would count as one that runs.
        wait_until(lambda: not any(map(is_alive, processes)), "the server's processes have ended")
        (self.home / "data/postmaster.pid").unlink()

    def kill_backend(self):
        """One that works for the proxy; the others are restarted by the postmaster, after crash recovery."""
        with self.connect("postgres") as server:
            pid = server.execute(
                "SELECT pid FROM pg_stat_activity WHERE application_name = 'postback-proxy' ORDER BY query_start DESC LIMIT 1"
            ).fetchone()[0]
        os.kill(pid, signal.SIGKILL)

    def freeze(self):
        """Nothing answers and no connection breaks, as when the network to the server is cut."""
        frozen = self.processes()
        for process in frozen:
            os.kill(process, signal.SIGSTOP)
        return frozen

    @staticmethod
    def thaw(frozen):
        for process in frozen:
            os.kill(process, signal.SIGCONT)


class Standby(Cluster):
    """A copy of a cluster that follows it: the cluster commits nothing that the copy does not have."""

    def __init__(self, directory, primary):
        self.directory, self.settings, self.environment = directory, [], {}
        # A cluster of its own first: the tool knows whose the directory must be.
        self.tool("start").check_returncode()
        self.read_address()
        self.stop()
        shutil.rmtree(self.home / "data")
        owner = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        copy = [pathlib.Path(os.environ["POSTBACK_TESTS_BIN"]) / "pg_basebackup", "--write-recovery-conf", "--checkpoint=fast"]
        source = [f"--dbname=host={primary.address['host']} port={primary.address['port']} user={primary.address['user']}"]
        subprocess.run([*owner, *copy, *source, f"--pgdata={self.home}/data"], check=True, cwd="/")
        self.start()
        with primary.connect("postgres") as server:
            server.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            server.execute("SELECT pg_reload_conf()")
            state = "SELECT sync_state FROM pg_stat_replication"
            wait_until(lambda: server.execute(state).fetchall() == [("sync",)], "the standby is synchronous")

    def promote(self):
        with self.connect("postgres") as server:
            assert server.execute("SELECT pg_promote()").fetchone()[0]


class Machine:
    """The cluster, a campaign in it, and a proxy with a spool before it; each machine has a database of its own."""

    def __init__(self, cluster, spool, standby=None, through=None, addresses=None, environment=(), prefix=(), subscribers=2000, **settings):
        self.cluster, self.spool, self.settings, self.through = cluster, spool, settings, through
        self.standbys = [standby] if standby else []
        self.environment, self.prefix = dict(environment), prefix
        self.database = cluster.create_database()
        with self.connect() as database:
            self.campaign = Campaign(database, subscribers=range(1, subscribers + 1))
            aliases = "INSERT INTO postback.link_aliases SELECT 'alias-' || subscriber_id, link_id FROM postback.links WHERE subscriber_id <= 50"
            self.aliases = [alias for (alias,) in database.execute(f"{aliases} RETURNING alias")]
        self.proxy = self.start_proxy(addresses).wait_until_ready()
        wait_until((pathlib.Path(spool) / "routes.json").exists, "the routes are on disk")

    def connect(self):
        return self.cluster.connect(self.database)

    def kill_proxy(self):
        self.proxy.process.kill()
        self.proxy.process.wait()

    def start_proxy(self, addresses):
        url = self.cluster.url(self.database, *self.standbys)
        if self.through:
            url = f"postgresql://{self.cluster.address['user']}@{self.through}/{self.database}"
        return Proxy(url, addresses, self.environment, self.prefix, spool=self.spool, **self.settings)

    def restart_proxy(self):
        self.proxy = self.start_proxy((self.proxy.listen, self.proxy.admin_listen))

    def is_well(self):
        """The database takes live requests, the spool is empty, and no postback waits for a click that is there."""
        try:
            if self.proxy.admin("/readyz").text != "ok\n" or self.proxy.metric("spool_records") > 0:
                return False
        except OSError:
            return False
        # The two may have come in the same moment: maintain() sees it within a minute.
        with self.connect() as database:
            return database.execute("SELECT count(*) FROM _postback.orphans JOIN postback.clicks USING (click_id)").fetchone()[0] == 0
