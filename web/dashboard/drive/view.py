"""The drive: files listed and searched, uploaded, previewed, downloaded, deleted.

A file's name is any text that somebody chose: it is shown as text, and never becomes part of an address.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, request

from core.agents import agents
from core.drive import files, quota, remove
from core.drive.files import STORED
from core.errors import NotFound
from core.store import pages
from web.api.drive import FilesQuery
from web.context import caller, db, request_id, services, workspace_id
from web.dashboard.drive import preview
from web.dashboard.frame import answers
from web.dashboard.settings import forms
from web.doors import downloads, uploads, work

Document = dict[str, Any]

views = Blueprint("drive", __name__)

KINDS = {"image/*": "Images", "text/*": "Texts", "application/*": "Documents", "audio/*": "Audio"}
FILTERS = ("prefix", "media_type", "agent_id")


@views.get("/drive")
def listed() -> Response:
    """The workspace's files, newest first, as far as this key may see them."""
    query = forms.read(FilesQuery, {name: text for name, text in request.args.items() if text})
    wanted = {name: getattr(query, name) or "" for name in FILTERS}
    narrowed = {name: text for name, text in wanted.items() if text}
    found, after = files.page(
        db(),
        workspace_id(),
        limit=pages.DEFAULT_LIMIT,
        cursor=query.cursor,
        agents=caller().agents,
        prefix=query.prefix,
        media_type=query.media_type,
        agent_id=query.agent_id,
    )
    known, _ = agents.page(db(), workspace_id(), limit=pages.MOST, cursor=None)
    return answers.page(
        "drive/list.html",
        files=found,
        after=after,
        turned=query.cursor,
        wanted=wanted,
        query=urlencode(narrowed),
        kinds=KINDS.items(),
        agents=[(agent["_id"], agent["name"]) for agent in known],
        names=_names(found),
        used=quota.used(db(), workspace_id()),
        quota=services().settings.drive_quota,
    )


@views.post("/drive/upload")
def upload() -> Response:
    """A file that the page's script sends, by the door of the API; its token comes in a header."""
    return work.started(uploads.arrived())


@views.get("/drive/<file_id>")
def show(file_id: str) -> Response:
    """A file: what is known of it, and a look into it."""
    record = _seen(file_id)
    kind = preview.kind(record)
    text, whole = preview.text(record) if kind == preview.TEXT else ("", True)
    return answers.page(
        "drive/file.html", file=record, kind=kind, text=text, whole=whole, names=_names([record])
    )


@views.get("/drive/<file_id>/content")
def content(file_id: str) -> Response:
    """Its bytes from here, never from a bucket's address: pages take pictures from their own host alone."""
    return downloads.answer(_seen(file_id), by_link=False)


@views.get("/drive/<file_id>/download")
def download(file_id: str) -> Response:
    """The file itself."""
    return downloads.answer(_seen(file_id))


@views.post("/drive/<file_id>/delete")
def delete(file_id: str) -> Response:
    """Delete it: it is gone at once, its bytes soon."""
    record = files.own(db(), workspace_id(), file_id, agents=caller().agents)
    if not files.mark(db(), record, STORED):
        raise NotFound("no such file")
    remove.begin(db(), services().send, record, by=caller().key_id, request_id=request_id())
    return answers.go("/drive", "The file is deleted.")


def _seen(file_id: str) -> Document:
    return files.get(db(), workspace_id(), file_id, agents=caller().agents)


def _names(found: list[Document]) -> dict[str, str]:
    """What their agents are called."""
    wanted = sorted({record["agent_id"] for record in found if record["agent_id"]})
    return {agent["_id"]: agent["name"] for agent in agents.of_ids(db(), workspace_id(), wanted)}
