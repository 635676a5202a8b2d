"""CUSTOM_ENDPOINT_ALLOW: what an operator opens beside the public addresses. Pure."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from core.outbound.addresses import Address, folded, is_name

FORMS = (
    "an address, a network or a name, with or without :port (10.0.0.0/8, [fd00::1]:8080, ollama.lan:11434)"
)


@dataclass(frozen=True)
class Opening:
    """One entry: a network or a name, with a port or for all ports."""

    network: ipaddress.IPv4Network | ipaddress.IPv6Network | None
    name: str | None
    port: int | None

    def admits(self, host: str, port: int, address: Address | None) -> bool:
        """Is this host (folded), which is or leads to this address, opened by the entry?"""
        if self.port is not None and self.port != port:
            return False
        if self.network is not None:
            return address is not None and address.version == self.network.version and address in self.network
        return self.name == host


def openings(allow: str) -> list[Opening]:
    """The entries of a list with commas. Raises `ValueError`, in one line, for one that is none."""
    return [_opening(entry.strip()) for entry in allow.split(",") if entry.strip()]


def _opening(entry: str) -> Opening:
    host, port = _split(entry)
    if port is not None and not (port.isdecimal() and port.isascii() and 1 <= int(port) <= 65535):
        raise ValueError(f"{entry!r} has no port from 1 to 65535 after the colon; wanted is {FORMS}")
    number = int(port) if port else None
    try:
        return Opening(ipaddress.ip_network(host, strict=False), None, number)
    except ValueError:
        name = folded(host) if "[" not in host else ""
    if not is_name(name):
        raise ValueError(f"{entry!r} is not {FORMS}")
    return Opening(None, name, number)


def _split(entry: str) -> tuple[str, str | None]:
    if entry.startswith("[") and "]" in entry:
        host, _, after = entry[1:].partition("]")
        return host, after.removeprefix(":") if after else None
    if entry.count(":") == 1:
        host, _, port = entry.partition(":")
        return host, port
    return entry, None
