"""Signing callbacks: a workspace's secret, its rotation, and the headers of Standard Webhooks.

Format: https://www.standardwebhooks.com (specification 1.0.0, read 2026-11).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from pymongo.database import Database

from core.crypto import Sealer
from core.documents import workspaces_of
from core.errors import Conflict

Document = dict[str, Any]

TRIES = 3


def sign(keys: Iterable[str], message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """The three headers. `keys`: the secrets that hold now, each `whsec_<base64>`. `at`: of this try."""
    stamp = str(int(at.timestamp()))
    signed = f"{message_id}.{stamp}.".encode() + body
    return {
        "webhook-id": message_id,
        "webhook-timestamp": stamp,
        "webhook-signature": " ".join(f"v1,{_signature(key, signed)}" for key in keys),
    }


def secret(db: Database[Document], sealer: Sealer, workspace_id: str) -> str:
    """A workspace's signing secret, made on first use. If several make one, the first write wins."""
    for _ in range(TRIES):
        workspace = workspaces_of(db).find_one({"_id": workspace_id})
        if workspace and workspace.get("webhook_secret"):
            return sealer.open(workspace["webhook_secret"], context(workspace_id))
        db.workspaces.update_one(
            {"_id": workspace_id, "webhook_secret": None},
            {"$set": {"webhook_secret": sealer.seal(_made(), context(workspace_id))}},
        )
    raise LookupError(f"no workspace {workspace_id}")


def secrets_of(db: Database[Document], sealer: Sealer, workspace_id: str, now: datetime) -> list[str]:
    """The secret, and the one before while its grace lasts: a receiver may know either."""
    found = [secret(db, sealer, workspace_id)]
    workspace = workspaces_of(db).find_one({"_id": workspace_id})
    before = workspace.get("webhook_secret_before") if workspace else None
    if before and now < before["until"]:
        found.append(sealer.open(before["sealed"], context(workspace_id)))
    return found


def rotate(
    db: Database[Document], sealer: Sealer, workspace_id: str, *, grace: timedelta, now: datetime
) -> str:
    """A new secret. The one before signs too for `grace`; that of an earlier rotation ends.

    Raises `Conflict` when others rotate it at the same time.
    """
    made = _made()
    secret(db, sealer, workspace_id)
    workspace: Document = db.workspaces.find_one({"_id": workspace_id}) or {}
    former = workspace.get("webhook_secret")
    before = {"sealed": former, "until": now + grace}
    changed = db.workspaces.update_one(
        {"_id": workspace_id, "webhook_secret": former},
        {
            "$set": {
                "webhook_secret": sealer.seal(made, context(workspace_id)),
                "webhook_secret_before": before,
            }
        },
    )
    if changed.matched_count != 1:
        raise Conflict("the secret was changed by another request at the same time; try again")
    return made


def context(workspace_id: str) -> dict[str, str]:
    """What a workspace's secrets are sealed with."""
    return {"workspace": workspace_id, "purpose": "webhook"}


def _made() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()


def _signature(key: str, signed: bytes) -> str:
    raw = base64.b64decode(key.removeprefix("whsec_"))
    return base64.b64encode(hmac.new(raw, signed, hashlib.sha256).digest()).decode()
