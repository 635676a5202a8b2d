"""The published specification, tried at random: whatever it allows, and much that it does not, is no 5xx.

Every operation of it; the WebSocket's, without an upgrade, is refused before its view.
"""

from __future__ import annotations

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode

from core.errors import JobFailed
from core.jobs.claim import claim, finish
from tests.web.conftest import ADMIN

EXAMPLES = 12
KEY = {"Authorization": f"Bearer {ADMIN}"}

tried = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
def objects(objects, services):
    """What is there, so that half of the calls get past `no such …`. The job has ended: so do its events."""
    error = JobFailed("its provider did not answer", code="internal").as_dict()
    job = claim(services.db, objects["job_id"], "p1")
    finish(services.db, job, status="failed", calls=[], error=error)
    return objects


@pytest.mark.filterwarnings("ignore:Do not use the `random` module")  # another thread's back-off did
@pytest.mark.usefixtures("worked_on")
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_nothing_that_is_sent_makes_a_5xx(app, objects, mode):
    schema = schemathesis.openapi.from_wsgi("/openapi.json", app)
    operations = [found.ok() for found in schema.get_all_operations()]
    published = app.test_client().get("/openapi.json").json["paths"]
    assert len(operations) == sum(map(len, published.values()))
    for operation in operations:
        try_operation(operation, objects, mode)


def try_operation(operation, objects, mode):
    @tried
    @given(case=operation.as_strategy(generation_mode=mode), there=st.booleans())
    def send(case, there):
        if there:
            for name in case.path_parameters or {}:
                case.path_parameters[name] = objects[name]
        answer = case.call(headers=KEY)
        if answer.status_code == 503:  # a busy machine's store; it is not away
            answer = case.call(headers=KEY)
        assert answer.status_code < 500, (case.as_curl_command(), answer.text)

    send()
