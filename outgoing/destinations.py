"""Where a call may go: what an address must look like, and which addresses of the network are somebody's on the public Internet.

A name is looked up once, every address that it has is checked, and the call goes to one of these: a name that says something else
a moment later changes nothing (`outgoing.calls`).
"""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

IPAddress = IPv4Address | IPv6Address

LONGEST_URL = 2_000

_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")
_TARGET = re.compile(r"[\x21-\x7e]*")

_NOBODYS_V4 = tuple(
    ip_network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT
        "127.0.0.0/8",
        "168.63.129.16/32",  # what a machine at Azure asks about itself
        "169.254.0.0/16",  # link-local, and what machines in clouds ask about themselves
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",  # relays of 6to4
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",  # measurements
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and the broadcast address
    )
)
"""IPv4 that leads to no stranger (IANA's registry of special-purpose addresses)."""

_GLOBAL_V6 = ip_network("2000::/3")
"""The only part of IPv6 that leads to strangers. Loopback, link-local, unique local, multicast, NAT64 and mapped IPv4 are not."""

_NOBODYS_V6 = tuple(
    ip_network(network)
    for network in (
        "2001::/23",  # Teredo and other protocols
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: it holds an address of IPv4
        "2620:4f:8000::/48",
        "3fff::/20",  # documentation
    )
)


class ForbiddenError(Exception):
    """Nothing may go there. `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class Walls:
    """Where calls may go: `ports` besides 443; with `near`, also to this very machine, on any port and without TLS.

    Networks that are `inside` are allowed, too, though they lead to no stranger.
    """

    ports: frozenset[int] = frozenset()
    near: bool = False
    inside: frozenset[IPv4Network | IPv6Network] = frozenset()

    def allow(self, address: IPAddress) -> bool:
        """Whether a call may go to that address of the network."""
        is_inside = any(address in network for network in self.inside)
        return is_public(address) or is_inside or (self.near and address.is_loopback)


@dataclass(frozen=True)
class Destination:
    """An address as it was typed, in its parts."""

    scheme: str
    host: str
    port: int
    target: str


def is_public(address: IPAddress) -> bool:
    """Whether somebody on the public Internet may have that address."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOBODYS_V4)
    return address.scope_id is None and address in _GLOBAL_V6 and not any(address in network for network in _NOBODYS_V6)


def destination_of(url: str, walls: Walls) -> Destination:
    """The parts of `url`. Raises ForbiddenError when it is no address to which a call may go, as far as can be seen of it."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ForbiddenError("not_a_web_address") from None
    host = parts.hostname or ""
    is_near = walls.near and host in _LOOPBACK_NAMES
    if len(url) > LONGEST_URL or not _TARGET.fullmatch(url) or "\\" in url or not _is_host(host):
        raise ForbiddenError("not_a_web_address")
    if parts.scheme != "https" and not (is_near and parts.scheme == "http"):
        raise ForbiddenError("not_https")
    if "@" in parts.netloc or parts.fragment:
        raise ForbiddenError("not_a_web_address")
    port = port if port is not None else 443 if parts.scheme == "https" else 80
    if port != 443 and port not in walls.ports and not is_near:
        raise ForbiddenError("port_not_allowed")
    if (literal := _literal(host)) is not None and not walls.allow(literal):
        raise ForbiddenError("address_not_public")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Destination(parts.scheme, host, port, target)


def _is_host(host: str) -> bool:
    return isinstance(_literal(host), IPv6Address) or _HOST.fullmatch(host) is not None


def _literal(host: str) -> IPAddress | None:
    try:
        return ip_address(host)
    except ValueError:
        return None
