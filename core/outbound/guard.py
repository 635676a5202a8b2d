"""The guard of addresses that users give: only public ones over https, and what the operator opens.

The check sits where the connection is made, on the very address that the name has just resolved to. So a name
that resolves to another address between check and call gains nothing.
"""

from __future__ import annotations

import math
from urllib.parse import urlsplit

from core.errors import Invalid
from core.outbound.addresses import Address, folded, is_name, literal, public
from core.outbound.errors import AddressForbidden
from core.outbound.names import Names, Resolve
from core.outbound.openings import openings

LOCAL_NAMES = frozenset({"localhost", "local", "internal", "intranet", "lan", "arpa", "localdomain", "test"})
"""Last labels that no public name has (RFC 6761, 6762, 8375; ICANN's resolution 2024.07.29.06)."""

PORTS = {"https": 443, "http": 80}


class Guard:
    """`allow` is the text of CUSTOM_ENDPOINT_ALLOW: `127.0.0.1:11434,10.0.0.0/8,ollama.lan`."""

    def __init__(self, allow: str, *, resolve: Resolve | None = None) -> None:
        self.openings = openings(allow)
        self.names = Names(resolve)

    def check_url(self, url: str, *, pointer: str = "/custom_endpoint") -> None:
        """What can be said without resolving a name. Raises `Invalid` with the reason."""
        reason = _malformed(url) or self._closed(url)
        if reason is not None:
            raise Invalid(reason, errors=[{"pointer": pointer, "detail": reason}], code="endpoint_forbidden")

    def addresses(
        self, host: str, port: int, scheme: str, within_s: float = math.inf
    ) -> list[tuple[str, int]]:
        """Where a connection to `host` may go now, as (address, family).

        Raises `AddressForbidden`; `NoConnection` for a name that does not resolve. All addresses of the name
        must be allowed: a name that has a private one among public ones means harm.
        """
        host = folded(host)
        found = self.names.resolve(host, port, within_s)
        checked = []
        for family, _, _, _, name in found:
            text = str(name[0])
            address = literal(text)
            if address is None or not self._admitted(host, port, address, scheme):
                raise AddressForbidden("the endpoint leads to an address that is not allowed")
            checked.append((text, int(family)))
        return checked

    def _closed(self, url: str) -> str | None:
        parts = urlsplit(url)
        host, port = folded(parts.hostname or ""), parts.port or PORTS[parts.scheme]
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


def _malformed(url: str) -> str | None:
    """Why a URL is refused that two readers might read differently; None for one that is clear."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "this is not a URL"
    if parts.scheme not in PORTS or not parts.hostname or port == 0:
        return "a URL begins with https:// and names a host"
    if any(c.isspace() or not c.isprintable() or c == "\\" for c in url):
        return "a URL has no white space, control characters or backslashes"
    if "@" in parts.netloc or "#" in url:
        return "a URL here has no user, password or fragment"
    if literal(parts.hostname) is None and not is_name(folded(parts.hostname)):
        return "the URL's host is neither a name nor an address"
    return None
