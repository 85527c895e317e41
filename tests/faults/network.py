"""A network of its own for the proxy, and a router on the way to the database that can stop passing packets on."""

import os
import subprocess


def ip(*arguments, **options):
    subprocess.run(["ip", *arguments], check=True, stdout=subprocess.DEVNULL, **options)


class Network:
    """The harness and the database are outside; the way from the harness to the proxy is another one, and is never cut.

    A router that does not forward drops silently, both ways: no reset, no ICMP, and each side's neighbour goes on answering. Every kernel
    can do it; iptables and netem need modules, and a link that is down or a blackhole route is an error to whoever sends.
    """

    def __init__(self):
        self.inside, self.router = (f"postback-{name}-{os.getpid()}" for name in ("proxy", "router"))
        # Of the block for tests of networks, RFC 2544.
        net = f"198.18.{os.getpid() % 256}"
        self.database, self.proxy, self.proxy_to_clients = f"{net}.1", f"{net}.6", f"{net}.10"
        self.addresses = f"{self.proxy_to_clients}:8080", f"{self.proxy_to_clients}:9090"
        self.prefix = "ip", "netns", "exec", self.inside
        outside = f"pbd{os.getpid()}", f"pbc{os.getpid()}"
        try:
            for namespace in (self.inside, self.router):
                ip("netns", "add", namespace)
            ip("link", "add", outside[0], "type", "veth", "peer", "name", "database", "netns", self.router)
            ip("link", "add", outside[1], "type", "veth", "peer", "name", "clients", "netns", self.inside)
            ip("-n", self.router, "link", "add", "proxy", "type", "veth", "peer", "name", "router", "netns", self.inside)
            for namespace, name, address in (
                ((), outside[0], self.database),
                ((), outside[1], f"{net}.9"),
                (("-n", self.router), "database", f"{net}.2"),
                (("-n", self.router), "proxy", f"{net}.5"),
                (("-n", self.inside), "router", self.proxy),
                (("-n", self.inside), "clients", self.proxy_to_clients),
            ):
                ip(*namespace, "address", "add", f"{address}/30", "dev", name)
                ip(*namespace, "link", "set", name, "up")
            ip("route", "add", f"{net}.4/30", "via", f"{net}.2")
            ip("-n", self.inside, "route", "add", f"{net}.0/30", "via", f"{net}.5")
            self.heal()
        except BaseException:
            self.remove()
            raise

    def cut(self):
        self.forward("0")

    def heal(self):
        self.forward("1")

    def forward(self, switch):
        ip("netns", "exec", self.router, "tee", "/proc/sys/net/ipv4/ip_forward", input=switch, text=True)

    def remove(self):
        """The links go with the namespaces at their ends."""
        for namespace in (self.inside, self.router):
            ip("netns", "delete", namespace)
