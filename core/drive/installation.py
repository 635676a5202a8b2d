"""This installation's own name below its storage: two that share a bucket see nothing of each other."""

from __future__ import annotations

import secrets
from typing import Any

from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

Document = dict[str, Any]

HERE = "installation"


def name(db: Database[Document]) -> str:
    """Made at random when it is first asked for; it stays as long as the database does."""
    found = db.drive.find_one({"_id": HERE})
    if found is not None:
        return str(found["name"])
    made = secrets.token_hex(4)
    try:
        db.drive.insert_one({"_id": HERE, "name": made})
    except DuplicateKeyError:
        return name(db)
    return made
