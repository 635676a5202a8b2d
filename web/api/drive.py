"""The drive: files up and down, listed, renamed, deleted."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from flask import Response
from pydantic import BaseModel, Field, StringConstraints

from core.drive import files, names, quota, remove
from core.drive.files import STORED
from core.errors import NotFound
from web.access import access
from web.answers import answer, listed, nothing
from web.context import caller, db, request_id, services, workspace_id
from web.doors import downloads, uploads, work
from web.resource import BY_ID_OR_NAME, AgentId, Id, Model, PageQuery, example, resource, since
from web.shapes.base import page
from web.shapes.files import DriveUsage, File
from web.shapes.jobs import OF_KIND
from web.specification.headers import said
from web.specification.says import MAKES_A_JOB, accepts, shows, tells

api = resource("drive", "Files of agents and workspaces")

FORM: dict[str, Any] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["file"],
                "properties": {
                    "file": {
                        "type": "array",
                        "items": {"type": "string", "contentMediaType": "application/octet-stream"},
                        "description": "one file, or several",
                    },
                    "agent_id": {"type": "string", "description": f"whose files these are: {BY_ID_OR_NAME}"},
                    "path": {"type": "string", "description": "where; a folder if it ends with /"},
                    "visibility": {"type": "string", "enum": ["private", "workspace"]},
                    "callback_url": {"type": "string", "format": "uri"},
                },
            }
        }
    },
}
BYTES = {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
OF_FILE = said("ETag", "Last-Modified", "Accept-Ranges", "Content-Disposition")
DOWNLOAD: Any = {
    "200": {"description": "The file", "headers": OF_FILE, **BYTES},
    "206": {
        "description": "The part that `Range` asked for",
        "headers": {**OF_FILE, **said("Content-Range")},
        **BYTES,
    },
    "302": {
        "description": "The address of the file in the bucket (DRIVE_PRESIGN)",
        "headers": said("Location"),
    },
    "304": {"description": "Unchanged", "headers": OF_FILE},
}
CONDITIONS = ("Range", "If-Range", "If-None-Match", "If-Match", "If-Modified-Since", "If-Unmodified-Since")
Name = Annotated[str, StringConstraints(max_length=names.LONGEST)]


class FilePath(BaseModel):
    file_id: Id


class FilesQuery(PageQuery):
    prefix: str | None = Field(default=None, max_length=names.LONGEST, description="of the paths")
    agent_id: AgentId | None = None
    media_type: str | None = Field(default=None, max_length=200, description="`image/png`, or `image/*`")
    min_size: int | None = Field(default=None, ge=0, le=2**53)
    max_size: int | None = Field(default=None, ge=0, le=2**53)
    since: datetime | None = None
    until: datetime | None = None


class FileChanges(Model):
    """What is to change of a file; what is not named stays."""

    model_config = example(name="report.pdf", path="reports/2026/report.pdf", visibility="workspace")
    name: Name = ""
    path: Name = ""
    visibility: Literal["private", "workspace"] = "private"


@api.post("/drive/upload", responses=accepts(OF_KIND["drive_upload"]), request_body=FORM)
@access(agent=True)
@tells(takes=MAKES_A_JOB, fails=(409, 507))
def upload_files() -> Response:
    """Upload one or more files. The answer is a job; its result is the file's record, or `files`."""
    return work.started(uploads.arrived())


@api.get("/drive/files", responses=shows(page(File), "A page of files, newest first"))
@access(agent=True, filtered=True)
def list_files(query: FilesQuery) -> Response:
    """The workspace's files, as far as this key may see them."""
    given = query.model_dump(exclude={"since", "until"})
    items, cursor = files.page(
        db(),
        workspace_id(),
        agents=caller().agents,
        since=since(query.since),
        until=since(query.until),
        **given,
    )
    return listed(map(files.public, items), cursor)


@api.get("/drive/usage", responses=shows(DriveUsage, "How much they take"))
def drive_usage() -> Response:
    """How much of its quota the workspace's files take."""
    used = quota.used(db(), workspace_id())
    return answer({"bytes": used, "quota": services().settings.drive_quota})


@api.get("/drive/files/<file_id>", responses=shows(File, "The file's record"))
@access(agent=True)
def get_file(path: FilePath) -> Response:
    """One file's record."""
    return answer(files.public(_seen(path.file_id)))


@api.patch("/drive/files/<file_id>", responses=shows(File, "The file's record"))
@access(agent=True)
def change_file(path: FilePath, body: FileChanges) -> Response:
    """Rename or move a file, or open it to the workspace."""
    given = body.given()
    for name in ("name", "path"):
        names.checked(given.get(name, ""), f"/{name}")
    return answer(files.public(files.change(db(), _own(path.file_id), given)))


@api.delete("/drive/files/<file_id>", responses={"204": {"description": "Gone"}})
@access(agent=True)
def delete_file(path: FilePath) -> Response:
    """Delete a file: it is gone at once, its bytes soon."""
    record = _own(path.file_id)
    if not files.mark(db(), record, STORED):
        raise NotFound("no such file")
    remove.begin(db(), services().send, record, by=caller().key_id, request_id=request_id())
    return nothing()


@api.get("/drive/download/<file_id>", responses=DOWNLOAD)
@access(agent=True)
@tells(takes=CONDITIONS, fails=(412, 416, 500))
def download_file(path: FilePath) -> Response:
    """The file itself: whole, or a part (`Range`), or 304 to whom has it."""
    return downloads.answer(_seen(path.file_id))


def _seen(file_id: str) -> dict[str, Any]:
    return files.get(db(), workspace_id(), file_id, agents=caller().agents)


def _own(file_id: str) -> dict[str, Any]:
    return files.own(db(), workspace_id(), file_id, agents=caller().agents)
