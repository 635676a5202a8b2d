"""A kind of job is a row: what the engine does for a kind that no other code knows (`tests/echo.py`)."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module

import pytest

from core.clock import utcnow
from core.embedded.supervise import from_procfile
from core.errors import Invalid
from core.jobs import kinds, lease, overdue, queues
from core.jobs.claim import claim
from core.jobs.erasing import erase
from core.jobs.reconcile import QUARANTINED_FROM
from core.services import Services
from tests import echo
from tests.core.jobs.test_reconcile import LEASE, World
from tests.core.jobs.test_run import Held, Inline
from tests.factory import Sent, queued
from tests.stack import ROOT
from workers import process, roles


@pytest.fixture(autouse=True)
def row(monkeypatch):
    monkeypatch.setitem(kinds.KINDS, "echo", echo.ROW)
    monkeypatch.setitem(roles.ROLES, "echo", echo.ROLE)


@pytest.fixture
def world(db):
    return World(db)


@pytest.fixture
def services(db, settings, redis_client):
    own = settings.model_copy(update={"mongodb_database": db.name})
    services = Services(own, db.client, redis_client, None, Sent())
    yield services
    services.close()


def host(db, name):
    queues = kinds.queues_of("echo", name)
    return lease.register(db, role="echo", host=name, queues=queues, slots=2, version="test")


def asked(db, **changes):
    """A job that is due to be looked at."""
    job = queued(db, kind="echo", request={"say": "hi"}, plan={}, **changes)
    db.jobs.update_one({"_id": job["_id"]}, {"$set": {"send_after": utcnow()}})
    return job


def queue_of(db, job):
    return db.jobs.find_one({"_id": job["_id"]})["queue"]


def test_every_kind_has_a_role_that_carries_it_out_and_a_queue_that_the_role_takes_from():
    for kind in kinds.KINDS.values():
        assert kind.role in roles.ROLES, f"{kind.name}: workers/roles.py has no role {kind.role}"
        assert kind.queue_on("h1") in kinds.queues_of(kind.role, "h1"), kind.name


@pytest.mark.parametrize("role", roles.ROLES)
def test_every_role_can_carry_out_its_kinds(services, role):
    handlers = process.handlers(services, roles.ROLES[role])
    assert handlers.keys() >= {kind.name for kind in kinds.of_role(role)}


@pytest.mark.parametrize("role", roles.ROLES)
def test_every_role_has_a_line_of_its_name_in_the_procfile(role):
    programs = from_procfile((ROOT / "Procfile").read_text(), stop_s=1)
    commands = {program.name: program.command for program in programs}
    started = commands.get(role, "").endswith(f"python -m workers.main {role}")
    assert started, f"the Procfile does not start {role}"


def test_the_home_of_a_kind_by_host_finds_a_host():
    for kind in kinds.KINDS.values():
        finds = hasattr(import_module(kind.home), "place")
        assert finds or not kind.by_host, f"{kind.home} has no `place(db, job)`, which {kind.name} needs"


def test_the_home_of_each_kind_by_host_can_place_its_jobs():
    for kind in kinds.KINDS.values():
        assert not kind.by_host or callable(import_module(kind.home).place), kind.name


def test_a_job_by_host_carries_its_hosts_queue(db):
    sent = Sent()
    job = queued(db, sent, kind="echo", host="h1")
    assert (job["queue"], sent.ids) == ("echo.h1", [("echo.h1", job["_id"])])


def test_a_job_without_a_host_waits_until_there_is_one(db, world):
    job = asked(db)
    world.tick()
    assert (queue_of(db, job), world.sent.ids) == ("echo", [])
    process_id = host(db, "h1")
    world.tick(beating=[process_id])
    assert (queue_of(db, job), world.sent.ids) == ("echo.h1", [("echo.h1", job["_id"])])


def test_jobs_that_wait_for_their_own_host_keep_no_others_from_being_placed(db, world, monkeypatch):
    monkeypatch.setattr(overdue, "A_PASS", 2)
    monkeypatch.setattr(echo, "place", lambda _, job: None if job["queue"] == "echo.h0" else "h1")
    stuck = [asked(db, host="h0") for _ in range(3)]
    job = asked(db)
    world.tick(seconds=8, beating=[host(db, "h1")])
    assert queue_of(db, job) == "echo.h1"
    assert {queue_of(db, one) for one in stuck} == {"echo.h0"}


def test_a_job_of_a_host_that_is_gone_goes_to_another(db, world):
    gone, there = host(db, "h1"), host(db, "h2")
    job = asked(db, host="h1")
    world.tick(beating=[gone, there])
    assert queue_of(db, job) == "echo.h1"  # sent again there, since somebody serves it
    lease.retire(db, gone)
    db.jobs.update_one({"_id": job["_id"]}, {"$set": {"send_after": utcnow()}})
    world.tick(beating=[there])
    assert (queue_of(db, job), world.sent.ids[-1]) == ("echo.h2", ("echo.h2", job["_id"]))


def test_a_process_takes_nothing_that_was_moved_to_another_queue(db):
    job = asked(db, host="h2")
    assert claim(db, job["_id"], "p1", queues=["echo.h1"]) is None
    assert claim(db, job["_id"], "p2", queues=["echo.h2"])["status"] == "running"


def test_a_lost_message_is_sent_again(db, world):
    process_id = host(db, "h1")
    job = asked(db, host="h1")
    world.tick(beating=[process_id])
    assert world.sent.ids == [("echo.h1", job["_id"])]


def test_a_kind_that_is_not_isolated_stays_in_its_queue_however_many_workers_it_loses(db, world):
    job, seen = asked(db, host="h1"), []
    for n in range(QUARANTINED_FROM):
        assert claim(db, job["_id"], host(db, "h1"), queues=["echo.h1"])["attempt"] == n + 1
        world.tick(LEASE + 4)
        seen.append(queue_of(db, job))
    assert seen == ["echo.h1"] * QUARANTINED_FROM
    assert db.jobs.find_one({"_id": job["_id"]})["error"]["code"] == "quarantined"


def test_its_own_time_limit_holds(db, services, monkeypatch):
    monkeypatch.setitem(kinds.KINDS, "echo", replace(echo.ROW, time_limit=lambda _: 0.05))
    job = asked(db)
    process.Runner(services, "p1", echo.handlers(services), start=Held, lost=lambda: True).run(job["_id"])
    ended = db.jobs.find_one({"_id": job["_id"]})
    assert (ended["status"], ended["error"]["detail"]) == ("failed", "not done within 0.05 s")


@pytest.fixture
def carried_out(db, services):
    """A job that has said `hi`."""
    job = asked(db)
    process.Runner(services, "p1", echo.handlers(services), start=Inline, lost=lambda: True).run(job["_id"])
    return db.jobs.find_one({"_id": job["_id"]})


def test_its_handler_is_called(carried_out):
    assert carried_out["result"] == {"said": "hi", "attempt": 1}


def test_what_was_said_is_erased_and_the_rest_of_the_result_stays(db, redis_client, carried_out):
    erase(db, redis_client, carried_out)
    assert db.jobs.find_one()["result"] == {"said": None, "attempt": 1}


def test_of_a_kind_that_is_no_longer_there_the_whole_result_is_erased(
    db, redis_client, carried_out, monkeypatch
):
    monkeypatch.delitem(kinds.KINDS, "echo")
    erase(db, redis_client, carried_out)
    assert db.jobs.find_one()["result"] == {"said": None, "attempt": None}


def test_a_worker_that_cannot_do_what_its_role_takes_does_not_start(services, monkeypatch):
    monkeypatch.setattr(echo, "handlers", lambda _: {})
    with pytest.raises(SystemExit, match=r"the role echo cannot carry out echo \(by tests.echo\)"):
        process.handlers(services, echo.ROLE)


def test_the_queues_of_hosts_are_shown_where_somebody_serves_them_or_waits_in_them(db, redis_client):
    assert [queue["name"] for queue in queues.overview(db, redis_client)] == ["chat", "isolation"]
    host(db, "h1")
    asked(db, host="h2")
    assert [queue["name"] for queue in queues.overview(db, redis_client)] == [
        "chat",
        "isolation",
        "echo.h1",
        "echo.h2",
    ]


def test_a_kind_that_is_not_in_the_table_is_refused(db):
    with pytest.raises(Invalid, match="there is no kind of job 'ecco'"):
        queued(db, kind="ecco")
    assert db.jobs.count_documents({}) == 0
