"""What a worker hears, and what it reads because it may not have heard it."""

import threading

import pytest

from core.jobs.run import Runner
from core.services import Services
from tests.factory import Sent
from tests.waiting import until
from workers import listening
from workers.broker import make_broker
from workers.threads import ThreadWork


@pytest.fixture
def over():
    told = threading.Event()
    yield told.is_set
    told.set()


def test_what_was_paused_before_anybody_listened_is_paused_long_before_the_first_beat(
    settings, db, redis_client, over
):
    settings = settings.model_copy(update={"mongodb_database": db.name, "beat_s": 3600.0})
    services = Services(settings, db.client, redis_client, None, Sent())
    broker = make_broker(redis_client)
    runner = Runner(services, "p1", {}, start=ThreadWork, lost=lambda: False)
    db.queues.insert_one({"_id": "chat", "paused": True})
    listening.start(settings, runner, broker, over=over, running=lambda _: None)
    until(lambda: broker.paused == {"chat"}, "it has read what is paused", seconds=60)
