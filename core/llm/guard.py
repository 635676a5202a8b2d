"""The guard of addresses that users give: only public ones over https, and what the operator opens.

What is checked is what is connected to: the check sits where the connection is made, on the address that the
name has just resolved to, so that a name which changes its mind between check and call gains nothing.
"""

from __future__ import annotations

import ipaddress
import socket
import unicodedata
from dataclasses import dataclass
from urllib.parse import urlsplit

from core.errors import Invalid
from core.llm.failures import EndpointForbidden

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

LOCAL_NAMES = ("localhost", "local", "internal", "home.arpa", "localdomain")
NAT64 = [ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48")]


@dataclass(frozen=True)
class Opening:
    """One entry of CUSTOM_ENDPOINT_ALLOW: a network or a name, with a port or for all ports."""

    network: ipaddress.IPv4Network | ipaddress.IPv6Network | None
    name: str | None
    port: int | None

    def admits(self, host: str, port: int, address: Address | None) -> bool:
        if self.port is not None and self.port != port:
            return False
        if self.network is not None:
            return address is not None and address.version == self.network.version and address in self.network
        return self.name == host


class Guard:
    """`allow` is the text of CUSTOM_ENDPOINT_ALLOW: `127.0.0.1:11434,10.0.0.0/8,ollama.lan`."""

    def __init__(self, allow: str) -> None:
        self.openings = [_opening(entry.strip()) for entry in allow.split(",") if entry.strip()]

    def check_url(self, url: str, *, pointer: str = "/custom_endpoint") -> None:
        """What can be said without resolving a name. Raises `Invalid` with the reason."""
        reason = self._reason(url)
        if reason is not None:
            raise Invalid(reason, errors=[{"pointer": pointer, "detail": reason}], code="endpoint_forbidden")

    def addresses(self, host: str, port: int, scheme: str) -> list[tuple[str, int]]:
        """Where a connection to `host` may go now, as (address, family). Raises `EndpointForbidden`.

        All that the name resolves to must be allowed: a name with one private address is up to something.
        """
        host = host.strip("[]").rstrip(".").lower()
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise EndpointForbidden(f"the name {host} does not resolve") from None
        checked = []
        for family, _, _, _, name in found:
            address = ipaddress.ip_address(str(name[0]).partition("%")[0])
            if not self._admitted(host, port, address, scheme):
                raise EndpointForbidden("the endpoint leads to an address that is not allowed")
            checked.append((str(name[0]), int(family)))
        return checked

    def _reason(self, url: str) -> str | None:
        try:
            parts = urlsplit(url)
            port = parts.port or {"https": 443, "http": 80}.get(parts.scheme, 0)
        except ValueError:
            return "this is not a URL"
        if parts.scheme not in ("http", "https") or not parts.hostname:
            return "a URL begins with https:// and names a host"
        if any(c.isspace() or ord(c) < 32 or c == "\\" for c in url):
            return "a URL has no white space, control characters or backslashes"
        if parts.username is not None or parts.password is not None or parts.fragment or "@" in parts.netloc:
            return "a URL here has no user, password or fragment"
        host = parts.hostname.rstrip(".").lower()
        address = literal(host)
        if any(opening.admits(host, port, address) for opening in self.openings):
            return None
        if parts.scheme != "https":
            return "only https is allowed; CUSTOM_ENDPOINT_ALLOW opens other addresses"
        if address is not None and not public(address):
            return "only public addresses are allowed; CUSTOM_ENDPOINT_ALLOW opens others"
        if address is None and (host.rpartition(".")[2] in LOCAL_NAMES or "." not in host):
            return "only public names are allowed; CUSTOM_ENDPOINT_ALLOW opens others"
        return None

    def _admitted(self, host: str, port: int, address: Address, scheme: str) -> bool:
        if any(opening.admits(host, port, address) for opening in self.openings):
            return True
        return scheme == "https" and public(address)


def public(address: Address) -> bool:
    """Is this an address of the public internet, whatever it is wrapped in?"""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if inner is None and any(address in network for network in NAT64):
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is None and int(address) >> 32 == 0:  # ::a.b.c.d, deprecated
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return public(inner)
        if address.is_site_local:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def literal(host: str) -> Address | None:
    """The address that a host is in any spelling (`127.1`, `0x7f000001`, `2130706433`); None for a name."""
    host = host.strip("[]").partition("%")[0]
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(socket.inet_aton(_ascii(host)))
    except (OSError, ValueError):
        return None


def _ascii(host: str) -> str:
    """Digits may come in other scripts, which resolvers fold back."""
    return unicodedata.normalize("NFKC", host).replace("。", ".")


def _opening(entry: str) -> Opening:
    """Raises `ValueError` for an entry that cannot be understood."""
    host, port = entry, None
    if entry.startswith("["):
        host, _, after = entry[1:].partition("]")
        port = after.removeprefix(":") or None
    elif entry.count(":") == 1:
        host, _, port = entry.partition(":")
    number = int(port) if port else None
    try:
        return Opening(ipaddress.ip_network(host, strict=False), None, number)
    except ValueError:
        return Opening(None, host.rstrip(".").lower(), number)
