"""Ours: `python -m bench.peers.ours lane|seat` is a worker process, with `idle|flood N` it sends to one.

`lane`: an id through its lane to the actor. `seat`: a job that is stored, born in a seat, and carried out.
"""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import sys
import time
from typing import Any

import dramatiq

from bench.peers import asked
from core import services as core_services
from core.config import Settings
from core.ids import new_id
from core.jobs.accept import accept
from core.jobs.lanes import Lanes
from core.jobs.model import Draft
from core.jobs.run import Run, Runner
from core.jobs.seats import Seats
from core.services import Services, connect_redis
from core.store import indexes
from workers.broker import ACTOR, make_broker
from workers.greenlets import GreenletWork
from workers.seating import Seating

SLOTS = 2560
settings = Settings()


def lane_worker() -> None:
    broker = make_broker(connect_redis(settings), SLOTS)

    def begin(job_id: str) -> None:
        asked.begun(float(job_id.partition("@")[2]))
        broker.shares.begun(job_id)

    dramatiq.actor(broker=broker, actor_name=ACTOR, queue_name="chat")(begin)
    dramatiq.Worker(broker, queues={"chat"}, worker_threads=64).start()
    time.sleep(3600)


def seat_worker() -> None:
    services, broker = _services(), make_broker(connect_redis(settings), SLOTS)
    indexes.ensure(services.db)
    runner = Runner(services, new_id(), {"chat": _begin}, start=GreenletWork, lost=lambda: False)
    dramatiq.actor(broker=broker, actor_name=ACTOR, queue_name="chat")(runner.run)
    dramatiq.Worker(broker, queues={"chat"}, worker_threads=64).start()  # what finds no seat takes its lane
    Seating(settings, runner, broker, "chat").start()
    time.sleep(3600)


def _begin(run: Run) -> dict[str, Any]:
    asked.begun(run.job["request"]["sent"])
    return {}


def _services() -> Services:
    client = connect_redis(settings)
    return core_services.build(settings, send=Lanes(client).send, patience_s=2, redis_client=client)


def to_lane(sent: float) -> None:
    LANES.send(
        {
            "_id": f"{new_id()}@{sent}",
            "queue": "chat",
            "workspace_id": "w1",
            "created_by": "k1",
            "agent_id": "a1",
        }
    )


def to_seat(sent: float) -> None:
    draft = Draft(
        kind="chat",
        workspace_id="w1",
        agent_id="a1",
        request={"sent": sent},
        plan={},
        created_by="k1",
        request_id="r1",
    )
    accept(SERVICES.db, SERVICES.send, draft, seats=SEATS)


WORKERS = {"lane": lane_worker, "seat": seat_worker}
SENDERS = {"lane": to_lane, "seat": to_seat}

if __name__ == "__main__":
    if len(sys.argv) == 2:
        WORKERS[sys.argv[1]]()
    SERVICES = _services()
    LANES, SEATS = Lanes(SERVICES.redis), Seats(SERVICES.redis)
    asked.MEASURES[sys.argv[2]](SENDERS[sys.argv[1]], int(sys.argv[3]))
