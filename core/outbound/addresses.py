"""Addresses in every spelling, and which of them are public. Pure."""

from __future__ import annotations

import ipaddress
import re
import socket
import unicodedata

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

NAME = re.compile(
    r"(?=.{1,253}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
)
NUMERIC = re.compile(r"(0x[0-9a-f]*|[0-9]+)")

UNICAST = ipaddress.ip_network("2000::/3")
NAT64 = ipaddress.ip_network("64:ff9b::/96")
SPECIAL = [ipaddress.ip_network(n) for n in ("192.0.0.0/24", "192.88.99.0/24", "3fff::/20")]
"""Ranges that some supported Pythons take for global: IETF protocols (one metadata service is there), the
former 6to4 relays (RFC 7526), RFC 9637's documentation. None takes Teredo (2001::/32) for global."""


def public(address: Address) -> bool:
    """Is this an address of the public internet, whatever it is wrapped in?"""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or _nat64(address)
        if inner is not None:
            return public(inner)
        if address not in UNICAST:
            return False
    special = any(address.version == network.version and address in network for network in SPECIAL)
    return address.is_global and not address.is_multicast and not special


def literal(host: str) -> Address | None:
    """The address that a host is in any spelling (`127.1`, `0x7f000001`, `2130706433`); None for a name."""
    host = folded(host).partition("%")[0]
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host)) if host.isascii() else None
    except (OSError, ValueError):
        return None


def folded(host: str) -> str:
    """The host as resolvers see it: in small letters of ASCII, without brackets and without a last dot."""
    host = unicodedata.normalize("NFKC", host).replace("。", ".").lower()
    host = host.removeprefix("[").removesuffix("]").removesuffix(".")
    if host.isascii():
        return host
    try:
        return host.encode("idna").decode()
    except UnicodeError:
        return host


def is_name(host: str) -> bool:
    """Could this folded host be a name in the DNS? One that ends in a number is an address gone wrong."""
    return bool(NAME.fullmatch(host)) and not NUMERIC.fullmatch(host.rpartition(".")[2])


def _nat64(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if address in NAT64 else None
