"""The demo: its workspace is filled as if the work had been done, however often; no other is touched."""

import pytest

from core.accounts import workspaces
from core.clock import utcnow
from core.demo import write
from core.demo.people import COLLEAGUES, FILES, NAME, WORKSPACE
from core.drive import files, storages
from core.history import reading
from core.history.reading import History
from core.jobs import queries
from core.metering import allowances, usage
from core.metering.periods import period
from core.store import indexes
from tests import given
from tests.factory import queued

FEWER = 100
"""Jobs, where their number does not matter."""


@pytest.fixture(scope="module")
def db(mongo):
    """A database that all tests here look at."""
    database = mongo[given.new_database()]
    indexes.ensure(database)
    yield database
    mongo.drop_database(database.name)


class BrokenOff(Exception):
    """Somebody ended it."""


@pytest.fixture(scope="module")
def filled(db, settings):
    """What was told of it the third time; and its name once it was whole, and while it was half filled."""
    storage = storages.make(settings)
    db.workspaces.insert_one(workspaces.born("w1", "Somebody else"))
    other = queued(db)
    write.everything(db, settings, storage, n=FEWER)
    names = [called(db)]

    def say(line):
        names.append(called(db))
        if "calls" in line:
            raise BrokenOff

    with pytest.raises(BrokenOff):
        write.everything(db, settings, storage, say, n=FEWER)
    names.append(called(db))
    told = write.everything(db, settings, storage, n=600)
    assert db.jobs.find_one({"_id": other["_id"]}) == other
    return told, names


def called(db):
    return db.workspaces.find_one({"_id": WORKSPACE})["name"]


def test_a_day_of_work_is_there_once_however_often_it_is_written(db, filled, settings):
    jobs = list(db.jobs.find({"workspace_id": WORKSPACE}))
    assert len(jobs) == filled[0]["jobs"] == 600
    assert db.token_usage.count_documents({"workspace_id": WORKSPACE}) == filled[0]["ledger rows"]
    assert {job["status"] for job in jobs} == {"succeeded", "failed", "cancelled"}
    assert all("meter" not in job for job in jobs), "nothing is entered twice"
    assert db.agents.count_documents({"workspace_id": WORKSPACE}) == len(COLLEAGUES)
    day = reading.summary(History(db, WORKSPACE).hours())
    assert day["succeeded"] > 400
    assert len(day["reasons"]) > 3
    assert day["p95_ms"] > day["p50_ms"]
    assert day["first_token_p95_ms"]
    month = usage.of_workspace(db, WORKSPACE, period(utcnow())).total()
    assert month["cost"] > 0
    shown, _ = files.page(db, WORKSPACE, limit=50, cursor=None)
    assert len(shown) == len(FILES)
    storage = storages.make(settings)
    assert {len(b"".join(storage.read(file["key"]))) for file in shown} == {len(row[3]) for row in FILES}


def test_nothing_of_it_asks_a_provider_or_calls_anybody_back(db, filled):
    assert db.deliveries.count_documents({"state": "due"}) == 0
    unended = {"workspace_id": WORKSPACE, "status": {"$in": ["queued", "running"]}}
    assert db.jobs.count_documents(unended) == 0, "carried out later, it would be shown as a slow answer"


@pytest.mark.parametrize("status", ["succeeded", "failed", "cancelled"])
def test_its_jobs_are_found_by_how_they_ended_and_by_their_providers_ids(db, filled, status):
    there = list(db.jobs.find({"workspace_id": WORKSPACE, "status": status}))
    assert listed(db, status=status) == {job["_id"] for job in there}
    for job in (job for job in there[:5] if job["calls"]):
        assert listed(db, known_as=[job["calls"][0]["provider_request_id"]]) == {job["_id"]}


def listed(db, **filters):
    """The ids on all pages of this list."""
    jobs, cursor = queries.page(db, WORKSPACE, limit=200, **filters)
    while cursor is not None:
        more, cursor = queries.page(db, WORKSPACE, limit=200, cursor=cursor, **filters)
        jobs += more
    return {job["_id"] for job in jobs}


def test_one_that_is_half_filled_says_so_and_is_made_whole_when_it_is_filled_again(db, filled):
    whole, begun, *half = filled[1]
    assert (whole, begun, called(db)) == (NAME, NAME, NAME)
    assert len(half) > 1
    assert set(half) == {write.HALF_FILLED}


def test_the_ledger_is_as_the_meter_would_have_it(db, filled):
    assert db.usage_days.count_documents({"workspace_id": WORKSPACE, "open": True}) <= 1  # today's
    assert allowances.tick(db, {}) == {"allowances": 0}
    for name in ("day", "month"):
        during = period(utcnow(), name=name)
        rows = db.token_usage.find({"workspace_id": WORKSPACE, "date": {"$in": during.dates()}})
        used = usage.of_workspace(db, WORKSPACE, during).total()
        assert used["tokens_total"] == sum(row["tokens_total"] for row in rows)
    assert db.managed_overage.count_documents({"workspace_id": WORKSPACE}) > 0
    assert db.statements.count_documents({"workspace_id": WORKSPACE}) > 0
