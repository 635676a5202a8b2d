"""`drive verify`: waits for the jobs, shows how far they are, and tells what differs."""

from __future__ import annotations

import threading

import pytest

from core.cli.drive import verify_all
from core.drive import verify
from core.errors import Conflict
from core.jobs import lease
from core.jobs.claim import claim, finish


@pytest.fixture
def worker(db):
    lease.register(db, role="drive", host="h1", queues=["drive.h1"], slots=1, version="test")


def carried_out(db, **found):
    """A drive worker that finishes the job as soon as it is there."""

    def work():
        while (job := db.jobs.find_one({"kind": "drive_verify"})) is None:
            pass
        mine = claim(db, job["_id"], "p1")
        counts = {"checked": 3, "missing": 0, "differ": 0, "orphans": 0, "orphans_removed": 0}
        counts |= {name: len(listed) for name, listed in found.items()}
        verify._note(db, "h1", {"missing": [], "differ": [], "orphans": [], **found})
        finish(db, mine, status="succeeded", calls=[], result=counts)

    thread = threading.Thread(target=work)
    thread.start()
    said = []
    code = verify_all(db, None, None, said.append)
    thread.join()
    return code, said


@pytest.mark.usefixtures("worker")
def test_what_is_as_it_should_be(db):
    code, said = carried_out(db)
    assert code == 0
    assert said[-1] == "h1: checked 3, missing 0, differ 0, orphans 0, orphans_removed 0"


@pytest.mark.usefixtures("worker")
def test_what_differs_is_named(db):
    code, said = carried_out(db, missing=["f1"], differ=["f2"])
    assert code == 1
    assert {"h1: missing f1", "h1: differ f2"} <= set(said)


def test_without_a_worker_nobody_waits(db):
    with pytest.raises(Conflict, match="no drive worker lives"):
        verify_all(db, None, None, print)
