"""Importing an agent: wholly or not at all, from whoever made the archive, and safe to repeat."""

from __future__ import annotations

import tarfile

import pytest

from core.agents import agents
from core.drive.keep import Writing
from core.runtime import importing
from core.runtime.folder import Folder
from tests.core.drive.uploads import placed
from tests.core.runtime.archives import (
    archive,
    configuration,
    member,
    refusal,
)

IMPORT = "agent_import"
NEW = {"description": "imported", "drive_sync": True}


class Killed(BaseException):
    """As when the process dies there."""


@pytest.fixture
def good():
    return archive(configuration(**NEW), member("workspace/new.md", b"new", mode=0o755, mtime=1_000_000))


def put(moving, data):
    """An archive in the drive; its id."""
    writing = Writing(moving.db, moving.storage)
    writing.write(data)
    place = placed(moving.db, moving.storage, workspace_id="default", agent_id=None)
    return writing.kept(place, name="a.tar.gz", path="a.tar.gz", by="k1", quota_bytes=None)["_id"]


def state(moving, agent):
    """All that an import may change."""
    document = moving.db.agents.find_one({"_id": agent["_id"]})
    return document, moving.files(agent)


def bring(moving, agent, data):
    return moving.does(IMPORT, agent, file_id=put(moving, data))


def test_what_an_archive_has_takes_the_place_of_what_was_there(moving, good):
    agent = moving.at_rest()
    job = bring(moving, agent, good)
    assert job["status"] == "succeeded", job["error"]
    assert job["result"] == {
        "agent_id": agent["_id"],
        "name": agent["name"],
        "llm_config": True,
        "note": None,
    }
    found = agents.get(moving.db, "default", agent["_id"])
    assert (found["description"], found["drive_sync"], found["name"]) == ("imported", True, agent["name"])
    assert moving.files(agent) == {"box/workspace/new.md": b"new"}
    about = (moving.folder(agent).workspace / "new.md").stat()
    assert (about.st_mode & 0o777, about.st_mtime) == (0o700, 1_000_000)


def test_what_was_exported_comes_to_another_agent(moving):
    one, two = moving.at_rest(description="one"), moving.world.agent()
    (moving.folder(one).box / "state/memory.db").write_bytes(b"m" * 1000)
    exported = moving.does("agent_export", one)
    job = moving.does(IMPORT, two, file_id=exported["result"]["id"])
    assert job["status"] == "succeeded", job["error"]
    assert moving.files(two) == moving.files(one)
    found = agents.get(moving.db, "default", two["_id"])
    assert (found["description"], found["name"]) == ("one", two["name"])
    assert moving.world.record(two)["host"] == "h1"


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ([configuration(), member("workspace/../../../x", b"x")], "leads out"),
        ([configuration(), member("/x", b"x")], "absolute"),
        ([configuration(), member("workspace/x", kind=tarfile.SYMTYPE, linkname="/etc")], "a symbolic link"),
        ([configuration(), member("workspace/x", kind=tarfile.CHRTYPE)], "a device"),
        ([configuration(), member("workspace/x"), member("workspace/x")], "there twice"),
        ([configuration(), member("workspace/x"), member("workspace/x/y")], "there twice"),
        ([configuration(), configuration()], "there twice"),
        ([member("workspace/x")], "no agent.json"),
        ([member("agent.json", b"{}")], "format"),
        ([member("agent.json", b"\xff")], "cannot be used"),
        ([member("agent.json", b"[" * 100_000)], "cannot be used"),
        ([configuration(email="no address")], "email"),
    ],
)
def test_an_archive_that_is_refused_changes_nothing(moving, members, why):
    agent = moving.at_rest()
    before = state(moving, agent)
    assert why in refusal(bring(moving, agent, archive(*members)))
    assert state(moving, agent) == before
    assert list(moving.folder(agent).path.glob("import.*")) == []


def test_a_bomb_changes_nothing(moving, good):
    agent = moving.at_rest()
    file_id, before = (
        put(moving, archive(configuration(), member("workspace/x", bytes(50_000)))),
        state(moving, agent),
    )
    small = moving.world.settings.model_copy(update={"drive_max_file_size": 2000})
    moving.runner.services.settings = small
    assert "more than 40000 bytes" in refusal(moving.does(IMPORT, agent, file_id=file_id))
    assert state(moving, agent) == before


def test_a_configuration_that_is_too_long_is_not_read(moving, monkeypatch):
    monkeypatch.setattr(importing, "LONGEST_CONFIGURATION", 100)
    assert "more than 100 bytes" in refusal(bring(moving, moving.at_rest(), archive(configuration())))


def test_the_archive_of_another_workspace_is_not_found(moving, good):
    file_id = put(moving, good)
    moving.db.drive_files.update_one({"_id": file_id}, {"$set": {"workspace_id": "w2"}})
    refusal(moving.does(IMPORT, moving.at_rest(), file_id=file_id), "not_found")


@pytest.mark.parametrize("changes", [{"status": "ready"}, {"desired": "running"}])
def test_nothing_comes_to_one_that_runs(moving, good, changes):
    agent = moving.at_rest()
    moving.db.runtimes.update_one({"_id": agent["_id"]}, {"$set": changes})
    before = state(moving, agent)
    assert "stop it first" in refusal(bring(moving, agent, good), "running")
    assert state(moving, agent) == before


def test_one_that_is_started_meanwhile_stays_as_it_was(moving, good):
    agent = moving.at_rest()
    before, read = state(moving, agent), moving.storage.read

    def read_and_start(key):
        moving.db.runtimes.update_one(
            {"_id": agent["_id"]}, {"$set": {"desired": "running"}, "$inc": {"rev": 1}}
        )
        return read(key)

    file_id = put(moving, good)
    moving.storage.read = read_and_start
    refusal(moving.does(IMPORT, agent, file_id=file_id), "running")
    assert state(moving, agent) == before


def test_one_whose_host_is_gone_comes_to_this_one(moving, good):
    agent = moving.at_rest()
    moving.db.runtimes.update_one({"_id": agent["_id"]}, {"$set": {"host": "h2"}})
    assert bring(moving, agent, good)["status"] == "succeeded"
    assert moving.world.record(agent)["host"] == "h1"


@pytest.mark.parametrize("name", ["core.runtime.importing.entries", "core.agents.agents.change"])
def test_an_import_that_dies_before_it_is_committed_to_has_changed_nothing(moving, good, monkeypatch, name):
    agent = moving.at_rest()
    before = state(moving, agent)
    job_id = moving.asked(IMPORT, agent, file_id=put(moving, good))
    with monkeypatch.context() as patch:
        patch.setattr(name, dies)
        with pytest.raises(Killed):
            moving.runner.run(job_id)
    document, found = state(moving, agent)
    assert document == before[0]
    assert {path: data for path, data in found.items() if path.startswith("box/")} == before[1]
    moving.folder(agent).adopt(None)  # a start comes first
    moving.folder(agent).make()
    assert state(moving, agent) == before
    assert moving.again(job_id)["status"] == "succeeded"
    assert moving.files(agent) == {"box/workspace/new.md": b"new"}


def test_one_that_dies_after_that_is_carried_on_by_the_next_start(moving, good, monkeypatch):
    agent = moving.at_rest()
    job_id = moving.asked(IMPORT, agent, file_id=put(moving, good))
    with monkeypatch.context() as patch:
        patch.setattr(Folder, "adopt", dies)
        with pytest.raises(Killed):
            moving.runner.run(job_id)
    moving.world.start(agent)
    moving.world.until(agent, "ready")
    assert (moving.folder(agent).workspace / "new.md").read_bytes() == b"new"
    assert not (moving.folder(agent).workspace / "notes.md").exists()
    (moving.folder(agent).workspace / "since.md").write_text("since")
    assert moving.again(job_id)["status"] == "succeeded"
    assert (moving.folder(agent).workspace / "since.md").exists()


def test_one_that_dies_after_that_is_carried_on_by_its_repetition(moving, good, monkeypatch):
    agent = moving.at_rest()
    job_id = moving.asked(IMPORT, agent, file_id=put(moving, good))
    with monkeypatch.context() as patch:
        patch.setattr(Folder, "adopt", dies)
        with pytest.raises(Killed):
            moving.runner.run(job_id)
    assert moving.again(job_id)["status"] == "succeeded"
    assert moving.files(agent) == {"box/workspace/new.md": b"new"}


def dies(*_, **__):
    raise Killed


def test_keys_do_not_travel_and_the_agents_own_stays(moving):
    agent = moving.at_rest()
    wants_key = {**agents.demo("x")["llm_config"], "provider": "openai", "model": "gpt-4o-mini"}
    job = bring(moving, agent, archive(configuration(llm_config=wants_key, **NEW)))
    assert job["status"] == "succeeded"
    assert job["result"]["llm_config"] is False
    assert "give `api_key`" in job["result"]["note"]
    found = agents.get(moving.db, "default", agent["_id"])
    assert (found["llm_config"]["provider"], found["description"]) == ("sandbox", "imported")
    assert moving.again(job["_id"])["result"] == job["result"]


def test_what_an_admin_has_bound_stays_bound(moving):
    agent = moving.at_rest(limit_policy="block")
    before = state(moving, agent)
    refusal(bring(moving, agent, archive(configuration())), "forbidden")
    assert state(moving, agent) == before


def test_two_imports_at_once_leave_one_of_them_whole(moving, good):
    agent = moving.at_rest()
    other = archive(configuration(description="other"), member("state/other", b"o"))
    first, second = (moving.asked(IMPORT, agent, file_id=put(moving, data)) for data in (good, other))
    read = moving.storage.read

    def read_and_let_the_other_go_first(key):
        moving.storage.read = read
        moving.runner.run(second)
        return read(key)

    moving.storage.read = read_and_let_the_other_go_first
    moving.runner.run(first)
    assert moving.db.jobs.find_one({"_id": first})["status"] == "succeeded"
    assert moving.files(agent) == {"box/workspace/new.md": b"new"}
    assert agents.get(moving.db, "default", agent["_id"])["description"] == "imported"


def test_an_imported_agent_starts_with_what_was_brought(moving, good):
    agent = moving.at_rest()
    bring(moving, agent, archive(configuration(system_prompt=""), member("workspace/new.md", b"new")))
    moving.world.start(agent)
    moving.world.until(agent, "ready")
    assert (moving.folder(agent).workspace / "new.md").read_text() == "new"
