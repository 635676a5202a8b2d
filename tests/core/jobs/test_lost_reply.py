"""A worker that does not hear that its finish was taken: the job is finished once, and watched to its end."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from core.callbacks import outbox
from core.clock import utcnow
from core.jobs.run import Runner
from core.metering import ledger
from core.metering.prices import Prices
from core.services import Services
from tests.conftest import patient
from tests.core.jobs.test_run import Inline
from tests.factory import CALL, Sent, queued
from tests.proxy import Proxy


@pytest.fixture
def proxy(settings):
    proxy = Proxy(settings.mongodb_uri)
    yield proxy
    proxy.close()


@pytest.fixture
def behind(db, settings, redis_client, proxy):
    """A worker's services, whose store is reached through the proxy."""
    through = settings.model_copy(update={"mongodb_uri": proxy.uri, "mongodb_database": db.name})
    client = patient(through)
    yield Services(through, client, redis_client, None, Sent())
    client.close()


def test_a_finish_whose_reply_is_lost_is_finished_once_and_watched_to_its_end(db, behind, proxy, watcher):
    job, asked = queued(db), []

    def answer(run):
        asked.append(run.job["attempt"])
        run.calls.append({**CALL, "started_at": utcnow()})
        proxy.lose_reply_to(b"\x02update\x00")  # the next update is the finish
        return {"answer": 42}

    runner = Runner(behind, "p1", {"chat": answer}, start=Inline, lost=lambda: False)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(watcher.wait, job["_id"], 30)
        runner.run(job["_id"])
        seen = waiting.result()
    runner.run(job["_id"])  # its message comes a second time

    assert proxy.lost == 1
    assert asked == [1]
    assert (seen["status"], seen["result"]) == ("succeeded", {"answer": 42})
    assert len(db.jobs.find_one({"_id": job["_id"]})["calls"]) == 1
    ledger.enter(db, Prices(), outbox=outbox)
    assert db.token_usage.count_documents({"job_id": job["_id"]}) == 1
