"""Re-sealing: everything sealed under an earlier key is sealed under the current one, while the system runs.

Each write is a compare-and-set on what was read, so that a reader finds the old text or the new one, and both
open. A process that still has the earlier key may seal under it meanwhile: passes are repeated until
one finds nothing. docs/operations.md has the steps of a change of the key.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import structlog
from pymongo.database import Database

from core import key_proof, signing
from core.agents import agents, credentials
from core.config import Settings
from core.crypto import CannotOpen, Sealer, provider_key_context
from core.documents import Agent, Credential, Workspace, agents_of, credentials_of, workspaces_of
from core.errors import Conflict
from core.llm import providers

Document = dict[str, Any]
Sealed = tuple[str, str, dict[str, str]]
"""A field, what stands there, and the context that it was sealed in."""

PAUSE_S = 2.0
MOST_PASSES = 100

log = structlog.get_logger(__name__)


def everything(
    db: Database[Document], sealer: Sealer, settings: Settings, *, sleep: Callable[[float], None] = time.sleep
) -> Document:
    """How many documents were sealed anew, and the ids of those that no configured key opens.

    Raises `Conflict` when others go on sealing under an earlier key.
    """
    resealed = 0
    for _ in range(MOST_PASSES):
        one = Pass(db, sealer, settings)
        one.run()
        resealed += one.resealed
        if one.found == 0:
            return {"resealed": resealed, "cannot_open": sorted(one.cannot_open)}
        sleep(PAUSE_S)
    raise Conflict("others go on sealing under an old key: restart them with the new one first")


class Pass:
    """One look at everything. `found`: sealed under an earlier key, and opened; `resealed`: written anew."""

    def __init__(self, db: Database[Document], sealer: Sealer, settings: Settings) -> None:
        self.db = db
        self.sealer = sealer
        self.settings = settings
        self.found = 0
        self.resealed = 0
        self.cannot_open: set[str] = set()

    def run(self) -> None:
        proof = self.db.scheduler.find_one({"_id": key_proof.NAME})
        if proof is not None:
            kept = [("sealed", proof["sealed"], key_proof.CONTEXT)]
            self._write(proof["_id"], kept, partial(key_proof.swap, self.db, proof["sealed"]))
        for agent in agents_of(self.db).find({"llm_config": {"$ne": None}}):
            self._write(agent["_id"], self._of_agent(agent), partial(agents.swap, self.db, agent))
        for credential in credentials_of(self.db).find():
            swap = partial(credentials.swap, self.db, credential)
            self._write(credential["_id"], self._of_credential(credential), swap)
        for workspace in workspaces_of(self.db).find({"webhook_secret": {"$ne": None}}):
            swap_secret = partial(_swap_secret, self.db, workspace)
            self._write(workspace["_id"], self._of_workspace(workspace), swap_secret)

    def _write(
        self,
        document_id: str,
        texts: Iterable[Sealed],
        swap: Callable[[Document], bool],
    ) -> None:
        """Seal anew what is not current, in one write."""
        try:
            new = {
                field: self.sealer.reseal(sealed, context)
                for field, sealed, context in texts
                if not self.sealer.is_current(sealed)
            }
        except CannotOpen as error:
            self.cannot_open.add(document_id)
            log.warning("reseal.cannot_open", document=document_id, reason=str(error))
            return
        except Exception as error:  # whatever it is made of, the others are sealed anew
            self.cannot_open.add(document_id)
            log.exception("reseal.unreadable", document=document_id, error=type(error).__name__)
            return
        if new:
            self.found += 1
            self.resealed += swap(new)

    def _of_agent(self, agent: Agent) -> Iterator[Sealed]:
        config, holder = agent["llm_config"], f"agent:{agent['_id']}"
        if config is None:
            return
        if config["sealed_key"] and config["provider"]:
            own = (config["provider"], config["custom_endpoint"], holder)
            yield "llm_config.sealed_key", config["sealed_key"], self._context(agent, *own)
        for provider, key in config["keys"].items():
            field = f"llm_config.keys.{provider}.sealed"
            yield field, key["sealed"], self._context(agent, provider, None, holder)

    def _of_credential(self, credential: Credential) -> Iterator[Sealed]:
        holder = f"credential:{credential['name']}"
        where = (credential["provider"], credential["custom_endpoint"], holder)
        yield "sealed_key", credential["sealed_key"], self._context(credential, *where)

    def _of_workspace(self, workspace: Workspace) -> Iterator[Sealed]:
        context = signing.context(workspace["_id"])
        yield "webhook_secret", workspace["webhook_secret"], context
        if before := workspace.get("webhook_secret_before"):
            yield "webhook_secret_before.sealed", before["sealed"], context

    def _context(
        self, owner: Mapping[str, Any], provider: str, endpoint: str | None, holder: str
    ) -> dict[str, str]:
        return provider_key_context(
            workspace_id=owner["workspace_id"],
            holder=holder,
            provider=provider,
            base_url=providers.address(provider, endpoint, self.settings),
        )


def _swap_secret(db: Database[Document], workspace: Workspace, new: Document) -> bool:
    unchanged = {"_id": workspace["_id"], "webhook_secret": workspace["webhook_secret"]}
    return db.workspaces.update_one(unchanged, {"$set": new}).matched_count == 1
