"""Archives as anybody may make them, and jobs that take agents elsewhere."""

from __future__ import annotations

import gzip
import io
import tarfile
from typing import Any

from core.agents import agents, portable
from core.ids import new_id
from core.jobs.accept import accept
from core.jobs.model import Draft
from core.jobs.run import Runner
from core.runtime import jobs, records
from core.runtime.folder import Folder
from core.services import Services
from tests.core.jobs.test_run import Inline
from tests.factory import Sent


def member(name: str, data: bytes = b"", kind: bytes = tarfile.REGTYPE, **more: Any) -> Any:
    about = tarfile.TarInfo(name)
    about.type, about.size = kind, len(data)
    for field, value in more.items():
        setattr(about, field, value)
    return about, data


def configuration(**given: Any) -> Any:
    """`agent.json` of an agent that answers from the sandbox."""
    agent: Any = {**agents.demo("elsewhere"), **given}
    return member("agent.json", portable.packed(agent))


def tar(*members: Any, format: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format) as archive:
        for about, data in members:
            archive.addfile(about, io.BytesIO(data))
    return out.getvalue()


def archive(*members: Any) -> bytes:
    return gzip.compress(tar(*members))


def unpacked(data: bytes) -> dict[str, bytes]:
    """What a file of ours holds, as Python's own reader sees it."""
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as found:
        return {about.name: found.extractfile(about).read() for about in found}  # type: ignore[union-attr]


class Moving:
    """A runner over a world's host and a storage. `does` makes a job and carries it out."""

    def __init__(self, world: Any, redis_client: Any, storage: Any) -> None:
        self.world, self.db, self.storage = world, world.db, storage
        services = Services(world.settings, self.db.client, redis_client, world.host.launch.sealer, Sent())
        handlers = jobs.carried_elsewhere_by(world.host, storage)
        self.runner = Runner(services, new_id(), handlers, start=Inline, lost=lambda: True)

    def asked(self, kind: str, agent: Any, **request: Any) -> str:
        draft = Draft(
            kind=kind,
            workspace_id="default",
            agent_id=agent["_id"],
            request=request,
            plan={"on_worker_loss": "retry"},
            created_by="k1",
            request_id="r1",
            host="h1",
        )
        return str(accept(self.db, Sent(), draft)[0]["_id"])

    def does(self, kind: str, agent: Any, **request: Any) -> Any:
        job_id = self.asked(kind, agent, **request)
        self.runner.run(job_id)
        return self.db.jobs.find_one({"_id": job_id})

    def again(self, job_id: str) -> Any:
        """As when its worker died: whatever it had done, it is carried out once more."""
        self.db.jobs.update_one({"_id": job_id}, {"$set": {"status": "queued", "fence": None}})
        self.runner.run(job_id)
        return self.db.jobs.find_one({"_id": job_id})

    def folder(self, agent: Any) -> Folder:
        return Folder(self.world.host.root / agent["_id"])

    def at_rest(self, **more: Any) -> Any:
        """An agent that has run on this host, and does no more; its folder holds something."""
        agent = self.world.agent(**more)
        self.db.runtimes.insert_one({**records.born("default", agent["_id"]), "host": "h1"})
        self.folder(agent).make()
        (self.folder(agent).workspace / "notes.md").write_text("mine")
        return agent

    def files(self, agent: Any) -> dict[str, bytes]:
        """All files below an agent's folder."""
        folder = self.folder(agent).path
        return {
            str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()
        }


def refusal(job: Any, code: str = "archive_refused") -> str:
    assert (job["status"], job["error"]["code"]) == ("failed", code), job["error"]
    return str(job["error"]["detail"])
