"""Files of the drive beside an agent's process: for agents that say so, while they run on this host."""

from __future__ import annotations

import os
import time

import pytest

from core.drive import jobs
from core.drive.local import LocalStorage
from core.jobs.run import Runner
from core.runtime import records
from core.runtime.folder import Folder
from core.runtime.states import READY, STOPPED
from core.runtime.sync import Sync
from core.services import Services
from core.store import aside
from tests.core.drive.uploads import accepted
from tests.core.jobs.test_run import Inline
from tests.core.scheduling.poison import poisoned
from tests.factory import Sent
from tests.waiting import until

HERE = "h1"


@pytest.fixture
def services(db, settings, redis_client, tmp_path):
    changes = {"mongodb_database": db.name, "worker_host": HERE, "drive_storage_path": tmp_path / "drive"}
    services = Services(settings.model_copy(update=changes), db.client, redis_client, None, Sent())
    yield services
    services.close()


@pytest.fixture
def storage(services):
    services.settings.drive_folder.mkdir(exist_ok=True)
    return LocalStorage(services.settings.drive_folder)


@pytest.fixture
def sync(services, storage, tmp_path):
    return Sync(services.db, services.send, services.settings, storage, tmp_path / "runtime")


def agent(db, sync, agent_id="a1", *, wants=True, status=READY, host=HERE):
    db.agents.insert_one({"_id": agent_id, "workspace_id": "w1", "name": agent_id, "drive_sync": wants})
    record = {**records.born("w1", agent_id), "status": status, "host": host}
    db.runtimes.insert_one(record)
    folder = Folder(sync.root / agent_id)
    folder.make()
    return folder.workspace


def uploaded(services, storage, agent_id="a1"):
    job = accepted(services.db, storage, b"hello", agent_id=agent_id)
    Runner(services, "p1", jobs.handlers(services), start=Inline, lost=lambda: True).run(job["_id"])


def test_files_go_in_and_out(db, services, storage, sync):
    workspace = agent(db, sync)
    uploaded(services, storage)
    (workspace / "out").mkdir()
    (workspace / "out/b.txt").write_text("made")
    os.utime(workspace / "out/b.txt", (time.time() - 100,) * 2)
    sync.look()
    assert (workspace / "drive/0.txt").read_text() == "hello"
    made = db.drive_files.find_one({"path": "out/b.txt"})
    assert (made["agent_id"], made["workspace_id"], made["state"]) == ("a1", "w1", "stored")


@pytest.mark.parametrize("changes", [{"wants": False}, {"status": STOPPED}, {"host": "h2"}])
def test_only_of_agents_that_say_so_and_run_here(db, services, storage, sync, changes):
    workspace = agent(db, sync, **changes)
    uploaded(services, storage)
    sync.look()
    assert not (workspace / "drive").exists()


def test_one_agents_files_are_not_anothers(db, services, storage, sync):
    one, two = agent(db, sync, "a1"), agent(db, sync, "a2")
    uploaded(services, storage, "a2")
    sync.look()
    assert not (one / "drive").exists()
    assert (two / "drive/0.txt").read_text() == "hello"


def test_it_looks_by_itself(db, services, storage, sync, monkeypatch):
    monkeypatch.setattr("core.runtime.sync.LOOK_S", 0.01)
    workspace = agent(db, sync)
    uploaded(services, storage)
    sync.start()
    until((workspace / "drive/0.txt").exists, "the file is there")
    sync.close()


def test_records_of_which_nothing_can_be_made_keep_no_agent_from_its_files(db, services, storage, sync):
    bad = {**records.born("w1", "bad"), "status": READY, "host": HERE}
    copies = [{**copy, "host": HERE} for copy in poisoned("runtimes", bad)]
    db.runtimes.insert_many(copies)
    db.agents.insert_many([{"_id": copy["_id"], "name": copy["_id"], "drive_sync": True} for copy in copies])
    workspace = agent(db, sync)
    uploaded(services, storage)
    sync.look()
    assert (workspace / "drive/0.txt").read_text() == "hello"
    laid_aside = {one["document"] for one in aside.listed(db)["drive sync"]}
    assert "bad~workspace_id~missing" in laid_aside
    assert "a1" not in laid_aside
