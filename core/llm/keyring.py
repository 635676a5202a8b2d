"""The key of a call, taken when the call begins: none is used that was replaced or removed.

A worker remembers what it has read for `KEPT_S`, and whoever replaces or removes a key answers no sooner than
that after the write. So nobody who was answered finds the old key in use, with Redis or without.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from core.config import Settings
from core.crypto import CannotOpen, Sealer, origin, provider_key_context
from core.documents import Credential, LlmConfig
from core.errors import JobFailed
from core.llm import managed, providers
from core.llm.failures import Elsewhere, KeyGone
from core.llm.records import PlannedTarget

KEPT_S = 0.1
"""A chat that follows another within this time needs no read: one of four at one connection, 1.1 ms each."""


def outlive() -> None:
    """Wait until no process remembers the key that was just replaced or removed, before that is said."""
    time.sleep(KEPT_S)


@dataclass(frozen=True)
class Keyring:
    """The keys of one agent's calls. `config()`, `find_credential(name)`: what is stored now, if anything."""

    workspace_id: str
    agent_id: str
    config: Callable[[], LlmConfig | None]
    find_credential: Callable[[str], Credential | None]
    sealer: Sealer
    settings: Settings

    def key(self, target: PlannedTarget, *, first: bool) -> str | None:
        """The key that this target has now; None for one that needs none.

        `first`: it is the agent's own target, no fallback. Raises `KeyGone` when there is none any more for
        this provider and address, and `JobFailed` for a key that cannot be opened. A target that was planned
        without a key costs no read.
        """
        if target["key_kind"] == managed.MANAGED:
            return managed.key_for(target, self.settings)
        if not is_keyed(target):
            return None
        sealed = self._sealed(target, first=first)
        if sealed is None:
            raise _gone(target, first=first)
        context = provider_key_context(
            workspace_id=self.workspace_id,
            holder=target["holder"],
            provider=target["provider"],
            base_url=target["base_url"],
        )
        try:
            return self.sealer.open(sealed, context)
        except CannotOpen as error:
            detail = f"the key of {target['provider']} cannot be opened: {error}"
            raise JobFailed(detail, code="cannot_open_key") from None

    def _sealed(self, target: PlannedTarget, *, first: bool) -> str | None:
        """What the agent now has for this target: its own key, its credential's, or that of a fallback."""
        config = self.config()
        if config is None:
            return None
        if not first:
            other = config.get("keys", {}).get(target["provider"])
            return other["sealed"] if other is not None else None
        if name := config.get("credential"):
            return self._of_credential(target, name)
        if target["holder"] == f"agent:{self.agent_id}" and self._goes_to(config, target):
            return config["sealed_key"]
        return None

    def _of_credential(self, target: PlannedTarget, name: str) -> str | None:
        if target["holder"] != f"credential:{name}":
            return None
        credential = self.find_credential(name)
        if credential is None or not self._goes_to(credential, target):
            return None
        return credential["sealed_key"]

    def _goes_to(self, keyed: Mapping[str, Any], target: PlannedTarget) -> bool:
        """A key belongs to the address that it was given for."""
        if keyed["provider"] != target["provider"]:
            return False
        address = providers.address(keyed["provider"], keyed["custom_endpoint"], self.settings)
        return origin(address) == origin(target["base_url"])


def is_keyed(target: Mapping[str, Any]) -> bool:
    """Had this target a key when it was planned? Jobs of earlier versions carry the sealed key itself."""
    return bool(target.get("keyed", target.get("sealed") is not None))


def _gone(target: PlannedTarget, *, first: bool) -> KeyGone:
    """Without the agent's own key nobody else is asked; a fallback without one is passed over."""
    gone = KeyGone(f"the key of {target['provider']} that this call was accepted with is gone")
    gone.elsewhere = Elsewhere.NONE if first else Elsewhere.ALL
    return gone
