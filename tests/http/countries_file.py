"""Writes a database of countries in MaxMind's format (maxmind.github.io/MaxMind-DB): as much of it as a country takes."""

import ipaddress

METADATA = b"\xab\xcd\xefMaxMind.com"


def text(value):
    return bytes([2 << 5 | len(value)]) + value.encode()


def mapped(**fields):
    return bytes([7 << 5 | len(fields)]) + b"".join(text(name) + value for name, value in fields.items())


def small(value):
    """A number of 16 bits."""
    return bytes([5 << 5 | 2]) + value.to_bytes(2, "big")


def write(path, countries):
    """`countries` has what is in each network of IPv4 or IPv6, as the value of the field country.iso_code."""
    # A node is where to go for a 0 and for a 1: another node, the offset of a record, or nowhere.
    nodes, data = [[None, None]], b""
    for network, code in countries.items():
        network = ipaddress.ip_network(network)
        bits, length = int(network.network_address), network.prefixlen + (96 if network.version == 4 else 0)
        path_of_bits = [bits >> (127 - place) & 1 for place in range(length)]
        node = 0
        for bit in path_of_bits[:-1]:
            if nodes[node][bit] is None:
                nodes.append([None, None])
                nodes[node][bit] = ("node", len(nodes) - 1)
            node = nodes[node][bit][1]
        nodes[node][path_of_bits[-1]] = ("record", len(data))
        data += mapped(country=mapped(iso_code=text(code)))

    def place(target):
        match target:
            case None:
                return len(nodes)
            case ("node", number):
                return number
            case ("record", offset):
                return len(nodes) + 16 + offset

    tree = b"".join(place(target).to_bytes(3, "big") for node in nodes for target in node)
    metadata = mapped(
        binary_format_major_version=small(2),
        binary_format_minor_version=small(0),
        build_epoch=bytes([0, 9 - 7]),
        database_type=text("Country"),
        description=mapped(),
        ip_version=small(6),
        languages=bytes([0, 11 - 7]),
        node_count=bytes([6 << 5 | 4]) + len(nodes).to_bytes(4, "big"),
        record_size=small(24),
    )
    path.write_bytes(tree + bytes(16) + data + METADATA + metadata)
    return path
