"""The kinds of job: one row each. All code that depends on a job's kind reads this table. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.errors import Invalid

if TYPE_CHECKING:  # read before gevent patches: nothing heavy is imported here
    from core.config import Settings

DAY_S = 24 * 3600.0
ISOLATION = "isolation"
"""The role and the queue for jobs that have lost workers. They run alone, so the next loss names its job."""


@dataclass(frozen=True)
class Kind:
    """What is true of all jobs of a kind.

    `home`: a module. Its `handlers(services)` returns the handlers by name of kind. For a kind that is
    `by_host` it also has `place(db, job)`, which returns the host that is to carry out the job, or None.
    `role`: which worker processes take it, from `queue`, or from `<queue>.<host>` if it is `by_host`.
    `time_limit`: seconds, from the settings. A job that takes longer has failed.
    `retried`: may a user run it again after it failed?
    `isolated`: does it move to the isolation queue after its second lost worker?
    `budgeted`: does it ask providers, so that limits and budgets are checked before it is accepted?
    `result`: what the job's `result` holds after success, in words for the specification.
    `said`: the fields of `result` that are erased with the job's content.
    """

    name: str
    home: str
    role: str
    queue: str
    result: str
    said: tuple[str, ...]
    time_limit: Callable[[Settings], float]
    by_host: bool = False
    retried: bool = True
    isolated: bool = True
    budgeted: bool = False

    def queue_on(self, host: str | None) -> str:
        """The queue of a job of this kind. Without a host nobody takes from it: reconcile finds a host."""
        return f"{self.queue}.{host}" if self.by_host and host else self.queue


def _while_many_start(settings: Settings) -> float:
    """A start waits for its turn, for its process, or for the one before to end; how long it tells itself."""
    return 3600 + settings.runtime_stop_grace + 2 * settings.runtime_ready_seconds


KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            "chat",
            home="core.chat.chat",
            role="chat",
            queue="chat",
            result="the answer: message, finish_reason, provider, model, usage, cost, calls",
            said=("message",),
            time_limit=lambda settings: settings.job_timeout_s,
            budgeted=True,
        ),
        Kind(
            "llm_test",
            home="core.chat.chat",
            role="chat",
            queue="chat",
            result="ok, provider, model, latency_ms, cost",
            said=(),
            time_limit=lambda settings: settings.job_timeout_s,
            budgeted=True,
        ),
        # What an agent's own process asks of its provider, through our door.
        Kind(
            "runtime",
            home="core.chat.chat",
            role="chat",
            queue="chat",
            result="as that of a chat",
            said=("message",),
            time_limit=lambda settings: settings.job_timeout_s,
            retried=False,
            budgeted=True,
        ),
        *(
            Kind(
                name,
                home="core.runtime.jobs",
                role="runtime",
                queue="runtime",
                result=result,
                said=said,
                time_limit=time_limit,
                by_host=True,
                retried=False,
                isolated=False,
            )
            for name, result, said, time_limit in (
                ("agent_start", "status, already, host, pid, port, note", (), _while_many_start),
                ("agent_stop", "status, already, note", (), lambda s: s.runtime_stop_grace + 120),
                ("agent_restart", "status, went_back, host, pid, port, note", (), _while_many_start),
                ("agent_export", "the archive's record, a file of the drive", (), lambda _: DAY_S),
                ("agent_import", "agent_id, name, llm_config (was it taken?), note", (), lambda _: DAY_S),
                (
                    "agent_message",
                    "message, finish_reason, conversation_id",
                    ("message",),
                    lambda s: s.job_timeout_s,
                ),
            )
        ),
        # Of the drive: on the host that has the bytes, or on any where they are in a bucket. A storage that
        # is away is waited for: what was accepted is finished when it is back.
        Kind(
            "drive_upload",
            home="core.drive.jobs",
            role="drive",
            queue="drive",
            result="the file's record; `files`, a list of them, where several were uploaded",
            said=(),
            time_limit=lambda _: DAY_S,
            by_host=True,
            retried=False,
            isolated=False,
        ),
        Kind(
            "drive_delete",
            home="core.drive.jobs",
            role="drive",
            queue="drive",
            result="id, deleted",
            said=(),
            time_limit=lambda _: DAY_S,
            by_host=True,
            retried=False,
            isolated=False,
        ),
        Kind(
            "drive_verify",
            home="core.drive.jobs",
            role="drive",
            queue="drive",
            result="checked, missing, differ, orphans, orphans_removed: how many",
            said=(),
            time_limit=lambda _: 7 * DAY_S,
            by_host=True,
            retried=False,
            isolated=False,
        ),
    )
}


def row(name: str) -> Kind:
    """Raises `Invalid` for a kind that is not in the table."""
    if name not in KINDS:
        known = ", ".join(sorted(KINDS))
        raise Invalid(
            f"there is no kind of job {name!r}", errors=[{"pointer": "/kind", "detail": f"one of {known}"}]
        )
    return KINDS[name]


def of_role(role: str) -> list[Kind]:
    """The kinds that a role carries out."""
    return [kind for kind in KINDS.values() if kind.role == role or (role == ISOLATION and kind.isolated)]


def queues_of(role: str, host: str) -> list[str]:
    """The queues that a process of this role takes from on this host."""
    if role == ISOLATION:
        return [ISOLATION]
    return sorted({kind.queue_on(host) for kind in of_role(role)})


def fixed_queues() -> list[str]:
    """The queues that exist without any host: the shared ones in the table's order, then isolation."""
    return [*dict.fromkeys(kind.queue for kind in KINDS.values() if not kind.by_host), ISOLATION]


def by_host(queues: Iterable[str]) -> list[str]:
    """Those of these queues whose jobs are for one host, or wait for one to be chosen."""
    bases = {kind.queue for kind in KINDS.values() if kind.by_host}
    return [queue for queue in queues if queue.partition(".")[0] in bases]
