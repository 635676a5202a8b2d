"""Wraps free-form JSON that looks like a database reference, which earlier versions kept as it was given.

MongoDB's driver reads `{"$ref": …, "$id": …}` as a `DBRef`, which is no JSON: lists that showed it failed.
"""

from __future__ import annotations

from typing import Any

from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo.collection import Collection
from pymongo.database import Database

from core.store.free_json import storable

Document = dict[str, Any]

FREE = {"agents": ("metadata",), "jobs": ("metadata", "request", "result", "error")}
RAW: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)
"""Reads documents without making anything of what is in them."""


def run(db: Database[Document]) -> None:
    """Every document is looked at, since no query finds such names at any depth."""
    for name, fields in FREE.items():
        raw: Collection[RawBSONDocument] = db[name].with_options(RAW)
        for document in raw.find({}, dict.fromkeys(fields, 1)):
            for field in fields:
                value = document.get(field)
                if isinstance(value, RawBSONDocument) and b"$ref" in value.raw:
                    wrap(db[name], document["_id"], field, _plain(value))


def wrap(collection: Collection[Document], document_id: str, field: str, value: Document) -> None:
    """Unless it was changed meanwhile."""
    unchanged = {"_id": document_id, field: {"$eq": value}}
    collection.update_one(unchanged, {"$set": {field: storable(value)}})


def _plain(value: Any) -> Any:
    if isinstance(value, RawBSONDocument):
        return {name: _plain(item) for name, item in value.items()}
    return list(map(_plain, value)) if isinstance(value, list) else value
