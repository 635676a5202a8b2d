"""What a running worker is told: to end a job, to take nothing from a queue, how many may run of whom.

Signals over Redis tell it at once. Each beat it also reads the documents, since a signal may be lost.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection

import redis
import structlog
from pymongo.errors import PyMongoError

from core.config import Settings
from core.jobs import signals
from core.jobs.model import RUNNING
from core.jobs.queues import paused
from core.jobs.run import Runner
from core.services import connect_redis
from workers.broker import LaneBroker

log = structlog.get_logger(__name__)


def start(
    settings: Settings,
    runner: Runner,
    broker: LaneBroker,
    *,
    over: Callable[[], bool],
    running: Callable[[Collection[str]], None] | None,
) -> None:
    """Listen and look until it is `over`, in threads; these are greenlets where the process is patched.

    `running` hears each beat which jobs are this process's own, as the documents say. None: it has none but
    those that it claimed itself.
    """
    for function, more in ((_hear_signals, ()), (_read_documents, (running,))):
        threading.Thread(target=function, args=(settings, runner, broker, over, *more), daemon=True).start()


def _hear_signals(settings: Settings, runner: Runner, broker: LaneBroker, over: Callable[[], bool]) -> None:
    channel = signals.process_channel(runner.process_id)
    client = connect_redis(settings)
    while not over():
        try:
            with client.pubsub(ignore_subscribe_messages=True) as pubsub:
                pubsub.subscribe(channel, signals.QUEUES_CHANGED, signals.CONFIGURED)
                _read_settings(runner, broker)  # what was said before is heard by nobody
                while not over():
                    message = pubsub.get_message(timeout=2.0)
                    if message is None:
                        continue
                    if message["channel"].decode() == channel:
                        runner.stop(message["data"].decode(), "cancelled")
                    else:
                        _read_settings(runner, broker)
        except redis.RedisError as error:
            log.warning("signals.redis_away", error=type(error).__name__)
            time.sleep(1)
        except PyMongoError as error:
            log.warning("signals.store_away", error=type(error).__name__)
        except Exception:  # whatever it was: nobody else hears of cancellations at once
            log.exception("signals.failed")
            time.sleep(1)


def _read_documents(
    settings: Settings,
    runner: Runner,
    broker: LaneBroker,
    over: Callable[[], bool],
    running: Callable[[Collection[str]], None] | None,
) -> None:
    while not over():
        time.sleep(settings.beat_s)
        try:
            if running is not None or runner.running:
                _read_jobs(runner, running or (lambda _: None))
            _read_settings(runner, broker)
        except (PyMongoError, redis.RedisError) as error:
            if not over():  # the clients close as the process ends
                log.warning("flags.store_away", error=type(error).__name__)
        except Exception:  # whatever it was: nobody else looks
            log.exception("flags.failed")


def _read_jobs(runner: Runner, running: Callable[[Collection[str]], None]) -> None:
    # All that run are read: for two fields the embedded server would look at all jobs there are.
    all_running = runner.services.db.jobs.find({"status": RUNNING}, {"owner": 1, "cancel_requested": 1})
    found = {job["_id"]: job for job in all_running if job["owner"] == runner.process_id}
    running(found)
    for job_id, job in found.items():
        if job["cancel_requested"]:
            runner.stop(job_id, "cancelled")


def _read_settings(runner: Runner, broker: LaneBroker) -> None:
    """Consumers of a paused queue take no messages. These stay in Redis, and the jobs stay queued."""
    broker.read_bounds(runner.services.db)
    stopped = frozenset(paused(runner.services.db))
    if not runner.draining:
        broker.paused = stopped
