"""The routes that take an agent elsewhere; what a worker does is in tests/core/runtime."""

from __future__ import annotations

import pytest

from core.drive.keep import Writing
from core.runtime import orders, placement, records
from tests.core.drive.uploads import placed
from tests.core.runtime.conftest import here
from web.context import STORAGE


@pytest.fixture
def archive(db, app):
    """Whatever it holds: the worker looks into it."""
    storage = app.extensions[STORAGE]
    writing = Writing(db, storage)
    writing.write(b"an archive")
    place = placed(db, storage, workspace_id="default", agent_id=None)
    return writing.kept(place, name="a", path="a", by="k1", quota_bytes=None)["_id"]


def host(db, name, free_mb=5000.0):
    here(db, name)
    placement.describe(db, name, capacity=5, free_mb=free_mb, used_mb=0, agents=0)


def at_rest(db, agent, host):
    db.runtimes.insert_one({**records.born("default", agent), "host": host})


def test_an_export_is_a_job_for_the_host_that_has_the_agent(db, member, agent, sent):
    host(db, "h1"), host(db, "h2")
    at_rest(db, agent, "h2")
    made = member.get(f"/agents/{agent}/export")
    assert (made.status_code, made.json["kind"], made.json["agent_id"]) == (202, "agent_export", agent)
    assert sent.ids[-1] == ("runtime.h2", made.json["id"])
    job = db.jobs.find_one({"_id": made.json["id"]})
    assert job["plan"]["on_worker_loss"] == "retry"
    assert "targets" not in job["plan"]


def test_an_agent_that_was_never_started_is_exported_by_any_host(db, member, agent, sent):
    host(db, "h1")
    made = member.get(f"/agents/{agent}/export", headers={"Idempotency-Key": "k"})
    assert sent.ids[-1] == ("runtime.h1", made.json["id"])
    assert (
        member.get(f"/agents/{agent}/export", headers={"Idempotency-Key": "k"}).json["id"] == made.json["id"]
    )


def test_a_head_makes_no_job(db, member, agent):
    assert member("HEAD", f"/agents/{agent}/export").status_code == 204
    assert db.jobs.count_documents({}) == 0


def test_an_import_is_a_job_for_the_agents_host_or_the_one_with_the_most_room(
    db, member, agent, archive, sent
):
    host(db, "h1"), host(db, "h2", free_mb=9000.0)
    made = member.post(f"/agents/{agent}/import", json={"file_id": archive})
    assert (made.status_code, made.json["kind"]) == (202, "agent_import")
    assert sent.ids[-1] == ("runtime.h2", made.json["id"])
    assert db.jobs.find_one({"_id": made.json["id"]})["request"] == {"file_id": archive}
    at_rest(db, agent, "h1")
    made = member.post(f"/agents/{agent}/import", json={"file_id": archive})
    assert sent.ids[-1] == ("runtime.h1", made.json["id"])


@pytest.mark.parametrize("way", ["export", "import"])
def test_an_agent_that_runs_is_stopped_first(db, member, agent, archive, way):
    host(db, "h1")
    orders.start(db, {"_id": agent, "workspace_id": "default"}, "j1")
    db.runtimes.update_one({"_id": agent}, {"$set": {"status": "ready"}})
    call = {"export": member.get, "import": member.post}[way]
    refused = call(f"/agents/{agent}/{way}", **({"json": {"file_id": archive}} if way == "import" else {}))
    assert (refused.status_code, refused.json["code"]) == (409, "running")
    assert db.jobs.count_documents({}) == 0


def test_an_archive_that_is_not_there_or_anothers_is_not_found(db, member, agent, archive):
    assert member.post(f"/agents/{agent}/import", json={"file_id": "none"}).status_code == 404
    db.drive_files.update_one({"_id": archive}, {"$set": {"workspace_id": "w2"}})
    assert member.post(f"/agents/{agent}/import", json={"file_id": archive}).status_code == 404


def test_viewers_take_nothing_with_them(client_for, agent):
    viewer = client_for("viewer")
    assert viewer.get(f"/agents/{agent}/export").status_code == 403
    assert viewer.post(f"/agents/{agent}/import", json={"file_id": "x"}).status_code == 403
