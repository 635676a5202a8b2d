"""Marks: by which the processes of a host's agents are known, whatever became of their parents.

A mark stands in a process's environment, where whoever runs beside it may write what he likes. So each ends
with a seal, which needs this host's key: who sees a mark, as a process sees its own, can make no other.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from core.private_files import made_once, read_private
from core.runtime import processes
from core.runtime.processes import Process

KEY_FILE = "marks.key"

Instance = tuple[str, str]
"""An agent's id, and which of its starts."""


@dataclass(frozen=True)
class Marks:
    """`root`: where the host keeps its agents; marks begin with it. `key`: nobody but its workers has it."""

    root: Path
    key: bytes = field(repr=False)

    def of(self, agent_id: str, instance: str) -> str:
        """What a process of this instance carries."""
        name = f"{self.root}/{agent_id}/{instance}"
        return f"{name}/{hmac.digest(self.key, name.encode(), 'sha256').hex()}"

    def carried(self, agent_id: str | None = None) -> dict[Instance, set[Process]]:
        """The processes that carry a mark of this host's; of this agent alone, if one is named."""
        below = f"{self.root}/" if agent_id is None else f"{self.root}/{agent_id}/"
        found = {}
        for mark, those in processes.marked(below).items():
            whose, _, rest = mark.removeprefix(f"{self.root}/").partition("/")
            instance = rest.partition("/")[0]
            if hmac.compare_digest(mark.encode(), self.of(whose, instance).encode()):
                found[whose, instance] = those
        return found


def of_host(root: Path) -> Marks:
    """The marks of a host; its key is made at its first start. Raises `NotPrivate`."""
    file = root / KEY_FILE
    if not file.exists():  # on a disk that is full it can still be read
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        made_once(file, secrets.token_urlsafe(32))
    return Marks(root, read_private(file).encode())
