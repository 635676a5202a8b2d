"""Lists of jobs: each is read by an index, and of few documents at a time, whoever has how many jobs."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta

import pytest

from core.clock import utcnow
from core.ids import new_id
from core.jobs import queries
from core.jobs.accept import earlier
from core.jobs.claim import claim, finish
from core.jobs.isolation import requeued
from core.jobs.model import MARK, RETRY, Idempotency, born, ended_badly
from core.store import pages
from core.store.pages import LOOKED_AT
from tests.conftest import patient
from tests.core.metering.test_reads import Asked
from tests.factory import CALL, draft, mark, queued

STATES = ("queued", "running", "succeeded", "failed", "cancelled")
MANY = 2000
FAILED = {"code": "internal", "detail": "an error of ours"}


def fill(db, n, over, ago=timedelta(0), **changes):
    """So many jobs, made evenly `over` a time that ended so long `ago`; their ids, newest first."""
    end = utcnow() - ago
    made = []
    for i in range(n):
        at = end - over * (i / n)
        job = born(draft(), new_id(), at)
        made.append({**job, "status": "succeeded", **changes})
    for at, job in enumerate(made):
        job["known_as"] = ["r1", *ended_badly(job["status"]), *([] if at % MARKED_EACH else [MARK])]
    db.jobs.insert_many(made)
    return [job["_id"] for job in made]


MARKED_EACH = 128


@pytest.fixture
def look(db, settings):
    """Reads a page, and checks how."""

    def look(**asked):
        with by_indexes(db, settings) as watched:
            items, cursor = queries.page(watched, "w1", **asked)
        return [job["_id"] for job in items], cursor

    return look


@contextmanager
def by_indexes(db, settings, whole=(), most=3 * MANY // 4):
    """The database; at the end each read was by an index, of few documents.

    `whole`: collections that may be read as they are. `most`: how many may be examined to find some.
    """
    reads = Asked()
    with patient(settings, event_listeners=[reads]) as client:
        yield client[db.name]
    for name, wanted in reads.filters:
        if name not in whole:
            assert found_by(db[name], wanted) in ("IXSCAN", "EXPRESS_IXSCAN"), wanted
        # The embedded server reads from the beginning of the index, where all is that has no such time.
        assert all(begins(asked) for asked in wanted.values() if isinstance(asked, dict)), wanted
        told = db[name].find(wanted).explain()
        assert told["executionStats"]["totalDocsExamined"] < most, wanted


def begins(asked):
    """Does a range have a beginning?"""
    return not {"$lt", "$lte"} & set(asked) or bool({"$gt", "$gte"} & set(asked))


def found_by(collection, wanted):
    """How the store finds them."""
    plan = collection.find(wanted).explain()["queryPlanner"]["winningPlan"]
    return plan.get("inputStage", plan)["stage"]  # MongoDB 8 has a short way for one field


@pytest.mark.parametrize("known_as", ["of ours", "of a provider's"])
def test_a_job_is_found_by_the_id_of_a_request(db, look, known_as):
    for _ in range(30):
        queued(db)
    job = claim(db, queued(db, request_id="of ours")["_id"], "p1")
    calls = [{**CALL, "provider_request_id": "of a provider's"}]
    assert finish(db, job, status="succeeded", calls=calls, result={})
    assert look(known_as=[known_as]) == ([job["_id"]], None)
    assert look(known_as=["of ours", "of a provider's"]) == ([job["_id"]], None)
    assert look(known_as=["of ours", "r1"]) == ([], None)


def test_a_provider_cannot_mark_a_job_by_the_id_that_it_gives(db, look):
    job = claim(db, queued(db)["_id"], "p1")
    assert finish(db, job, status="succeeded", calls=[{**CALL, "provider_request_id": "~failed"}], result={})
    assert look(status="failed") == ([], None)
    assert "~failed" not in db.jobs.find_one({"_id": job["_id"]})["known_as"]


def test_the_job_of_a_key_is_found_among_thousands(db, settings):
    fill(db, MANY, timedelta(hours=1))
    job, again = queued(db, idempotency=mark()), queued(db, idempotency=mark("j1", route="retry"))
    with by_indexes(db, settings, most=2) as watched:
        assert earlier(watched, draft(idempotency=mark()))["_id"] == job["_id"]
        assert requeued(watched, "w1", ["j1", "j2"])["j1"]["_id"] == again["_id"]


@pytest.mark.parametrize("over", [timedelta(seconds=20), timedelta(hours=3), timedelta(days=30)])
def test_the_newest_of_thousands_are_found_among_few(db, look, over):
    ids = fill(db, MANY, over)
    fill(db, 20, over, workspace_id="w2")
    found, cursor = look()
    assert found == ids[:50]
    assert look(cursor=cursor)[0] == ids[50:100]


def test_a_busy_minute_long_ago_is_read_bit_by_bit(db, look):
    ids = fill(db, MANY, timedelta(seconds=60), ago=timedelta(days=3))
    newest = fill(db, 2, timedelta(seconds=2))
    found, cursor = look()
    assert found == [*newest, *ids[:48]]
    assert look(cursor=cursor, limit=200)[0] == ids[48:248]


def test_a_workspace_with_few_jobs_sees_all_of_them_beside_thousands_of_others(db, look):
    fill(db, MANY, timedelta(seconds=60), workspace_id="w2")
    ids = fill(db, 5, timedelta(days=2), status="queued")
    assert look() == (ids, None)
    assert look(status="queued") == (ids, None)
    assert look(agent_id="a1", kind="chat") == (ids, None)
    assert look(agent_id="a2") == ([], None)


def test_what_failed_is_found_among_thousands_that_did_not(db, look):
    bad = fill(db, 3, timedelta(days=20), ago=timedelta(days=5), status="failed", error=FAILED)
    fill(db, MANY, timedelta(hours=1))
    assert look(status="failed") == (bad, None)
    assert look(status="failed", q="of OURS") == (bad, None)
    assert look(status="failed", code="internal", kind="chat") == (bad, None)
    assert look(status="failed", provider="openai") == ([], None)
    assert look(status="cancelled") == ([], None)


def test_what_runs_is_found_however_much_came_later(db, look):
    running = fill(db, 3, timedelta(seconds=3), ago=timedelta(days=1), status="running")
    fill(db, 2, timedelta(seconds=3), status="running", workspace_id="w2")
    fill(db, MANY, timedelta(hours=1))
    assert look(status="running") == (running, None)
    first, cursor = look(status="running", limit=2, agent_id="a1")
    assert (first, look(status="running", cursor=cursor)) == (running[:2], (running[2:], None))
    assert look(status="running", since=utcnow() - timedelta(hours=1)) == ([], None)


def test_where_no_index_helps_so_many_are_looked_at_and_the_next_page_looks_further(db, look):
    rare = fill(db, 1, timedelta(seconds=1), ago=timedelta(hours=2), agent_id="rare", request_id="rare")
    fill(db, LOOKED_AT * 2, timedelta(hours=1))
    for asked in ({"agent_id": "rare"}, {"q": "RARE"}, {"created_by": "k1", "agent_id": "rare"}):
        found, cursor, pages = [], None, 0
        while pages == 0 or cursor:
            some, cursor = look(cursor=cursor, **asked)
            found += some
            pages += 1
        assert (found, pages) == (rare, 3)


@pytest.mark.parametrize("status", STATES)
def test_each_state_is_listed_page_by_page(db, look, status):
    ids = fill(db, 7, timedelta(days=1), status=status)
    for other in set(STATES) - {status}:
        fill(db, 3, timedelta(days=1), status=other)
    found, cursor = look(status=status, limit=4)
    assert (found, look(status=status, cursor=cursor)[0]) == (ids[:4], ids[4:])


def test_one_job_among_a_hundred_or_so_is_marked():
    marked = [MARK in born(draft(), f"{n:032x}", utcnow())["known_as"] for n in range(256)]
    assert sum(marked) == 2


@pytest.mark.parametrize("picked", [True, False], ids=["picked", "as filtered"])
def test_several_are_found_without_looking_at_all(db, settings, picked):
    wanted = fill(db, 3, timedelta(hours=1), status="failed", error=FAILED)
    fill(db, MANY, timedelta(days=30))
    with by_indexes(db, settings) as watched:
        found = queries.several(
            watched,
            "w1",
            states=["failed", "cancelled"],
            until=utcnow(),
            most=500,
            ids=wanted[:2] if picked else (),
            code="internal",
        )
    assert set(found) == set(wanted[:2] if picked else wanted)


def test_several_are_of_one_workspace_of_their_states_and_times_and_no_more_than_asked_for(db):
    now = utcnow()
    (job,) = fill(db, 1, timedelta(minutes=1), timedelta(minutes=30), status="failed", error=FAILED)
    asked = {"states": ["failed"], "until": now, "most": 500, "since": now - timedelta(hours=1)}

    def found(workspace_id="w1", **other):
        return queries.several(db, workspace_id, **{**asked, **other})

    for ids in ((), (job,)):
        assert found(ids=ids) == [job]
        assert found(ids=ids, code="internal") == [job]
        assert found(ids=ids, most=0) == []
        assert found("w2", ids=ids) == []
        assert found(ids=ids, states=["queued"]) == []
        assert found(ids=ids, states=[]) == []
        assert found(ids=ids, code="other") == []
        assert found(ids=ids, until=now - timedelta(minutes=45)) == []
        assert found(ids=ids, since=now - timedelta(minutes=15)) == []
        assert found(ids=ids, without={job}) == []
        assert found(ids=ids, without={"another"}) == [job]


def test_several_are_looked_for_beyond_those_that_are_left_out(db, monkeypatch):
    monkeypatch.setattr(pages, "MOST", 1)
    newest, older, oldest = fill(db, 3, timedelta(hours=1), status="failed", error=FAILED)
    asked = {"states": ["failed"], "until": utcnow(), "most": 1, "without": {newest, older}}
    assert queries.several(db, "w1", **asked) == [oldest]


def test_what_was_run_again_is_found_without_looking_at_all(db, settings):
    queued(db, workspace_id="w1", idempotency=Idempotency(RETRY, "first", "", None))
    queued(db, workspace_id="w1", idempotency=Idempotency("chat/a1", "a key", "", None))
    queued(db, workspace_id="w2", idempotency=Idempotency(RETRY, "another's", "", None))
    fill(db, MANY, timedelta(days=30))
    with by_indexes(db, settings) as watched:
        assert queries.run_again(watched, "w1") == {"first"}
