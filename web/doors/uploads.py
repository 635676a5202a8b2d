"""An upload: from a form that arrives to an accepted job."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from flask import request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.agents import agents
from core.agents.fields import Url
from core.drive import form, installation, keys, names, quota
from core.drive.accept import Upload, accepted
from core.drive.files import Place
from core.drive.receive import Inbox, Limits
from core.errors import Invalid, NotFound, Problem, TooLarge
from core.ids import new_id
from core.jobs.document import Job
from core.outbound.guard import Guard
from web import problems, uploading
from web.context import arrivals, caller, db, request_id, services, storage, workspace_id
from web.doors import work
from web.resource import AgentId

Document = dict[str, Any]


class Fields(BaseModel):
    """What a form may say beside its files."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)
    agent_id: AgentId | None = Field(None, min_length=1)
    path: str = ""
    visibility: Literal["private", "workspace"] = "private"
    callback_url: Url | None = None


def arrived() -> Job:
    """The job of the upload that this request brings.

    Raises `TooLarge` as soon as that is known, and whatever else is wrong; then nothing is kept, and the
    connection is closed.
    """
    upload_id, key = new_id(), work.idempotency_key()
    with uploading.hanging_up():
        between = form.boundary(request.headers.get("Content-Type", ""))
        room = quota.room(db(), workspace_id(), services().settings.drive_quota)
        _check_length(room)
        with _arriving(upload_id, key):
            inbox = _inbox(upload_id, room)
            inbox.take(between, uploading.pieces())
            return _accepted(inbox, upload_id, key)


def _check_length(room: int | None) -> None:
    """What is too long as a whole is not begun with."""
    length, largest = request.content_length or 0, services().settings.drive_max_file_size
    if length > largest * form.MOST_FILES + form.MOST_AROUND:
        raise TooLarge(f"a file has at most {largest} bytes")
    if room is not None and length > room + form.MOST_AROUND:
        raise quota.over()


@contextmanager
def _arriving(upload_id: str, key: str | None) -> Iterator[None]:
    arrivals().begin(upload_id, workspace_id(), key)
    try:
        yield
    finally:
        arrivals().end(upload_id)


def _inbox(upload_id: str, room: int | None) -> Inbox:
    here = installation.name(db())
    limits = Limits(file=services().settings.drive_max_file_size, room=room)
    return Inbox(storage(), lambda n: keys.staged(here, upload_id, n), limits)


def _accepted(inbox: Inbox, upload_id: str, key: str | None) -> Job:
    """A store that fails here may have kept the job: what was staged stays until that is known."""
    try:
        job, made = accepted(
            db(),
            services().send,
            _upload(inbox, upload_id, key),
            quota_bytes=services().settings.drive_quota,
        )
    except Problem:
        inbox.drop()
        raise
    if not made:
        inbox.drop()
    return job


def _upload(inbox: Inbox, upload_id: str, key: str | None) -> Upload:
    fields, settings = _fields(inbox), services().settings
    place = Place(
        workspace_id=workspace_id(),
        agent_id=_agent(fields.agent_id),
        visibility=fields.visibility,
        installation=installation.name(db()),
        storage=storage().kind,
        host=settings.host_of("drive"),
    )
    return Upload(
        id=upload_id,
        place=place,
        received=inbox.files,
        path=names.checked(fields.path, "/path"),
        created_by=caller().key_id,
        request_id=request_id(),
        key=key,
        callback_url=fields.callback_url,
    )


def _fields(inbox: Inbox) -> Fields:
    try:
        fields = Fields.model_validate(inbox.fields)
    except ValidationError as error:
        raise problems.invalid(error) from None
    if fields.callback_url is not None:
        allowed = services().settings.custom_endpoint_allow
        Guard(allowed).check_url(fields.callback_url, pointer="/callback_url")
    return fields


def _agent(named: str | None) -> str | None:
    """Whose files these are. A key that is bound to one agent uploads as that one."""
    bound = caller().agents
    if named is None:
        if bound is None:
            return None
        if len(bound) != 1:
            detail = "say which of this key's agents"
            raise Invalid(detail, errors=[{"pointer": "/agent_id", "detail": detail}])
        return bound[0]
    if not caller().may_touch(named):
        raise NotFound("no such agent")
    return str(agents.get(db(), workspace_id(), named)["_id"])
