"""Lists of jobs: what is looked for by an id is found without looking at anything else."""

from __future__ import annotations

import pytest

from core.jobs import queries
from core.jobs.claim import claim, finish
from tests.conftest import patient
from tests.core.metering.test_reads import Asked
from tests.factory import CALL, queued


@pytest.mark.parametrize("known_as", ["of ours", "of a provider's"])
def test_a_job_is_found_by_an_id_in_an_index(db, settings, known_as):
    for _ in range(30):
        queued(db)
    job = claim(db, queued(db, request_id="of ours")["_id"], "p1")
    calls = [{**CALL, "provider_request_id": "of a provider's"}]
    assert finish(db, job, status="succeeded", calls=calls, result={})
    asked = Asked()
    with patient(settings, event_listeners=[asked]) as client:
        items, _ = queries.page(client[db.name], job["workspace_id"], known_as=[known_as])
    assert [one["_id"] for one in items] == [job["_id"]]
    for name, wanted in asked.filters:
        plan = db[name].find(wanted).explain()["queryPlanner"]["winningPlan"]
        assert plan["inputStage"]["indexName"] == "known"
