"""Exporting an agent: all that it is, in one file of the drive, and nothing that is secret."""

from __future__ import annotations

import json
import os

import pytest

from core.drive import quota
from core.runtime import exporting
from tests.core.runtime.archives import refusal, unpacked

EXPORT = "agent_export"


def read(moving, job):
    record = moving.db.drive_files.find_one({"_id": job["result"]["id"]})
    return unpacked(b"".join(moving.storage.read(record["key"])))


def test_an_agent_becomes_an_archive_in_the_drive(moving):
    agent = moving.at_rest(description="it knows")
    folder = moving.folder(agent)
    (folder.box / "state/sessions").mkdir()
    (folder.box / "state/sessions/1.json").write_text("{}")
    job = moving.does(EXPORT, agent)
    assert job["status"] == "succeeded", job["error"]
    found = read(moving, job)
    assert list(found) == ["agent.json", "workspace/notes.md", "state/sessions/1.json"]
    assert json.loads(found["agent.json"])["agent"]["description"] == "it knows"
    record = moving.db.drive_files.find_one({})
    assert (record["agent_id"], record["workspace_id"], record["media_type"]) == (
        None,
        "default",
        "application/x-gzip",
    )
    assert record["path"].startswith(f"exports/{agent['name']}-")
    assert quota.used(moving.db, "default") == record["size"]


def test_no_key_and_no_file_of_the_drive_travels(moving):
    agent = moving.at_rest()
    folder = moving.folder(agent)
    config = {
        **agent["llm_config"],
        "sealed_key": "sealed",
        "key_hint": "hint",
        "keys": {"openai": {"sealed": "s"}},
    }
    moving.db.agents.update_one({"_id": agent["_id"]}, {"$set": {"llm_config": config}})
    (folder.box / "openclaw.json").write_text("secret")
    folder.token_file.write_text("secret")
    (folder.box / "home/x").write_text("x")
    (folder.workspace / "drive").mkdir()
    (folder.workspace / "drive/x").write_text("x")
    found = read(moving, moving.does(EXPORT, agent))
    assert list(found) == ["agent.json", "workspace/notes.md"]
    assert not {"sealed_key", "key_hint", "keys", "api_key"} & set(
        json.loads(found["agent.json"])["llm_config"]
    )


def test_links_lead_nowhere(moving, tmp_path):
    agent = moving.at_rest()
    folder = moving.folder(agent)
    (tmp_path / "secret").write_text("secret")
    (folder.workspace / "a").symlink_to(tmp_path / "secret")
    (folder.workspace / "b").symlink_to(tmp_path)
    (folder.box / "state").rmdir()
    (folder.box / "state").symlink_to(tmp_path)
    assert list(read(moving, moving.does(EXPORT, agent))) == ["agent.json", "workspace/notes.md"]


def test_an_agent_that_was_never_started_has_its_configuration_alone(moving):
    assert list(read(moving, moving.does(EXPORT, moving.world.agent()))) == ["agent.json"]


@pytest.mark.parametrize("changes", [{"status": "ready"}, {"desired": "running"}])
def test_one_that_runs_is_not_exported(moving, changes):
    agent = moving.at_rest()
    moving.db.runtimes.update_one({"_id": agent["_id"]}, {"$set": changes})
    assert "stop it first" in refusal(moving.does(EXPORT, agent), "running")


def test_one_whose_files_are_on_a_silent_host_is_not(moving):
    agent = moving.at_rest()
    moving.db.runtimes.update_one({"_id": agent["_id"]}, {"$set": {"host": "h2"}})
    assert "h2 is silent" in refusal(moving.does(EXPORT, agent), "host_silent")


@pytest.mark.parametrize("collection", ["agents", "runtimes"])
def test_what_changes_while_it_is_packed_is_not_kept(moving, collection):
    agent = moving.at_rest()
    number = {"agents": "revision", "runtimes": "rev"}[collection]
    stage = moving.storage.stage

    def stage_and_change(key):
        moving.db[collection].update_one({"_id": agent["_id"]}, {"$inc": {number: 1}})
        return stage(key)

    moving.storage.stage = stage_and_change
    refusal(moving.does(EXPORT, agent), "changed")
    assert list(moving.storage.list("staging")) == list(moving.storage.list("files")) == []


def test_an_archive_over_the_limits_is_not_kept(moving):
    agent = moving.at_rest()
    (moving.folder(agent).workspace / "large").write_bytes(os.urandom(1_900_000))
    settings = moving.world.settings
    for size, said in ((100_000, "would have more than 100000 bytes"), (50_000, "more than 1000000 bytes")):
        moving.runner.services.settings = settings.model_copy(update={"drive_max_file_size": size})
        assert said in refusal(moving.does(EXPORT, agent), "too_large")
    moving.runner.services.settings = settings.model_copy(update={"drive_quota": 100})
    refusal(moving.does(EXPORT, agent), "quota_exceeded")
    assert list(moving.storage.list("staging")) == list(moving.storage.list("files")) == []
    assert quota.used(moving.db, "default") == 0


def test_too_many_files_are_said(moving, monkeypatch):
    monkeypatch.setattr(exporting, "MOST_FILES", 1)
    agent = moving.at_rest()
    (moving.folder(agent).workspace / "more").write_text("x")
    assert "or 1 files" in refusal(moving.does(EXPORT, agent), "too_large")


def test_a_job_that_is_repeated_makes_one_archive(moving):
    job = moving.does(EXPORT, moving.at_rest())
    assert moving.again(job["_id"])["result"] == job["result"]
    assert moving.db.drive_files.count_documents({}) == 1


def test_what_a_dead_worker_had_not_finished_is_given_up(moving):
    job = moving.does(EXPORT, moving.at_rest())
    moving.db.drive_files.update_one({}, {"$set": {"state": "arriving"}})
    moving.db.drive_usage.update_one(
        {"_id": "default"}, {"$set": {f"open.{job['_id']}": 7}, "$inc": {"bytes": 7}}
    )
    job = moving.again(job["_id"])
    states = {record["_id"]: record["state"] for record in moving.db.drive_files.find()}
    assert sorted(states.values()) == ["deleting", "stored"]
    assert states[job["result"]["id"]] == "stored"
    assert quota.used(moving.db, "default") == job["result"]["size"]
