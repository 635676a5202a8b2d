"""The shapes of jobs: one for each kind, with its result; and of their callbacks' deliveries."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Union

from pydantic import ConfigDict, Field, RootModel, create_model

from core.jobs.document import Status
from web.shapes.base import Shape, maybe, say
from web.shapes.chats import ChatResult, JobCall, TestResult
from web.shapes.files import DeletedFile, File, Files, Verification
from web.shapes.processes import Imported, Restarted, Started, Stopped, Told

RESULTS: dict[str, Any] = {
    "chat": ChatResult,
    "llm_test": TestResult,
    "runtime": ChatResult,
    "agent_start": Started,
    "agent_stop": Stopped,
    "agent_restart": Restarted,
    "agent_message": Told,
    "agent_export": File,
    "agent_import": Imported,
    "drive_upload": File | Files,
    "drive_delete": DeletedFile,
    "drive_verify": Verification,
}
"""What a job's `result` holds after success, by its kind."""


class JobLinks(Shape):
    """Where to go on."""

    self: str = say("the job")
    events: str = say("its events as they come")
    cancel: str = say("where to POST to end it")


class Failure(Shape):
    """Why a job failed: a problem, without what only an HTTP answer knows."""

    type: str = say("a path that names the kind of problem")
    title: str = say("the kind, in words")
    detail: str = say("this case, in words")
    code: str = say("the kind, for machines")
    retry_after: int = maybe("seconds, where the provider said how long to wait")


class JobFields(Shape):
    """What all jobs have."""

    id: str = say("what paths name")
    status: Status = say("it only moves forward, unless its worker is lost or stops")
    done: bool = say("will nothing change any more?")
    workspace_id: str = say("whose it is")
    agent_id: str | None = say("whose it is, if it is of an agent")
    priority: Literal["interactive", "background"] = say(
        "`background` waits while anything interactive waits"
    )
    attempt: int = say("how often a worker has taken it")
    progress: dict[str, Any] | None = say("of long work, while it runs")
    created_at: datetime = say("when it was accepted")
    started_at: datetime | None = say("when a worker took it last")
    finished_at: datetime | None = say("when it ended")
    error: Failure | None = say("why it failed")
    calls: list[JobCall] = say("every call of a provider, also of a job that failed")
    metadata: dict[str, Any] = say("the client's own")
    retry_of: str | None = say("the job that this one repeats")
    links: JobLinks = say("where to go on")


def _of_kind(name: str, result: Any) -> Any:
    """`ChatJob`, `AgentStartJob`, …"""
    only: Any = Literal[name]
    return create_model(
        name.title().replace("_", "") + "Job",
        __base__=JobFields,
        __doc__=f"A job of the kind `{name}`.",
        kind=(only, say("what it does")),
        result=(result | None, say("null until it succeeded; what a chat said before it broke off")),
    )


OF_KIND = {name: _of_kind(name, result) for name, result in RESULTS.items()}
"""The shape of a job by its kind."""


class Job(RootModel[Annotated[Union[tuple(OF_KIND.values())], Field(discriminator="kind")]]):  # type: ignore[misc] # noqa: UP007
    """A job of any kind; `kind` says which."""

    model_config = ConfigDict(title="Job")


class Try(Shape):
    """One POST of a callback."""

    at: datetime = say("when")
    status: int | None = say("of the receiver's answer; null: none came")
    error: str | None = say("the kind of error, where no answer came")
    ms: int | None = say("how long it took")


class Delivery(Shape):
    """A callback, with every try."""

    id: str = say("its `webhook-id`, the same at each try")
    event: str = say("its `type`")
    url: str = say("where it goes, without the query")
    state: Literal["due", "delivered", "failed"] = say("what became of it")
    reason: str | None = say("why it failed")
    created_at: datetime = say("when it became due")
    delivered_at: datetime | None = say("when it was taken")
    next_try_at: datetime | None = say("when it is tried next")
    tries: list[Try] = say("the last tries")


class Ticket(Shape):
    """What opens a job's events for a browser."""

    ticket: str = say("for `?ticket=`")
    expires_at: datetime = say("until when it opens them")
