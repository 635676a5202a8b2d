"""An agent's log, asked for from anywhere: it lies on the agent's host, and comes through Redis.

Who asks publishes a request on the host's channel; the host's worker pushes lines into a list of that request
alone, which is gone a few seconds after nobody takes from it. Nothing of a log is kept in Redis.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import redis
import structlog

from core.errors import Unavailable
from core.ids import new_nonce
from core.loop import Loop
from core.runtime import log_file
from core.runtime.folder import Folder

Document = dict[str, Any]

ALIVE_S = 10
ANSWERED_WITHIN_S = 5.0
WAIT_S = 0.3
"""Shorter than the time that the web process gives one Redis command."""
FOLLOWED_EVERY_S = 0.5
MOST_AHEAD = 100
"""So many pieces may wait for whoever follows a log slowly; the next ones wait in the file."""
AT_ONCE = 32
AWAY_S = 1.0
END = b""

log = structlog.get_logger(__name__)


def channel(host: str) -> str:
    """Where a host hears of requests."""
    return f"vutler:runtime:{host}"


def ask(
    client: redis.Redis, host: str, agent_id: str, *, tail: int, follow: bool
) -> Iterator[list[str] | None]:
    """Pieces of the log, the last lines first; None when there was nothing for a moment.

    Ends after the last lines, or, following it, when closed. Raises `Unavailable` when the host does not
    answer, and `redis.RedisError`.
    """
    reply = f"vutler:log:{new_nonce()}"
    request = {"agent_id": agent_id, "tail": tail, "follow": follow, "reply": reply}
    client.set(_alive(reply), "1", ex=ALIVE_S)
    heard = client.publish(channel(host), json.dumps(request))
    deadline, answered = time.monotonic() + ANSWERED_WITHIN_S, False
    try:
        while True:
            if not answered and (not heard or time.monotonic() > deadline):
                raise Unavailable(f"the host {host} does not answer", code="host_silent")
            popped: Any = client.blpop([reply], timeout=WAIT_S)
            client.set(_alive(reply), "1", ex=ALIVE_S)
            if popped is None:
                if answered:
                    yield None
                continue
            answered = True
            if popped[1] == END:
                return
            yield list(json.loads(popped[1]))
    finally:
        with contextlib.suppress(redis.RedisError):  # both expire
            client.delete(_alive(reply), reply)


class LogServer:
    """Answers the requests for the logs below `root`."""

    def __init__(self, host: str, root: Path, client: redis.Redis, listening: redis.Redis) -> None:
        self.host = host
        self.root = root
        self.client = client
        self.listening = listening
        self._free = threading.BoundedSemaphore(AT_ONCE)
        self._loop = Loop("logs", self._listen, AWAY_S, away=(redis.RedisError,))
        self._closed = self._loop.closed

    def start(self) -> None:
        self._loop.start()

    def close(self) -> None:
        self._loop.close()

    def answer(self, request: Document) -> None:
        """The last lines, then what is written while somebody takes it. Raises `redis.RedisError`."""
        reply, console = request["reply"], Folder(self.root / request["agent_id"]).console
        lines, position = log_file.tail(console, request["tail"])
        self._push(reply, json.dumps(lines).encode())
        while request["follow"] and not self._closed.wait(FOLLOWED_EVERY_S):
            if not self.client.exists(_alive(reply)):
                return
            if int(self.client.llen(reply)) < MOST_AHEAD:
                lines, position = log_file.since(console, position)
                if lines:
                    self._push(reply, json.dumps(lines).encode())
        self._push(reply, END)

    def _push(self, reply: str, piece: bytes) -> None:
        with self.client.pipeline(transaction=False) as pipe:
            pipe.rpush(reply, piece)
            pipe.expire(reply, ALIVE_S)
            pipe.execute()

    def _listen(self) -> None:
        with self.listening.pubsub(ignore_subscribe_messages=True) as pubsub:
            pubsub.subscribe(channel(self.host))
            while not self._closed.is_set():
                message = pubsub.get_message(timeout=1.0)
                if message is not None:
                    self._take(json.loads(message["data"]))

    def _take(self, request: Document) -> None:
        if not self._free.acquire(blocking=False):
            return  # who asks is told that the host does not answer
        try:
            threading.Thread(target=self._answer_and_free, args=(request,), daemon=True).start()
        except RuntimeError:  # no thread is left
            self._free.release()
            raise

    def _answer_and_free(self, request: Document) -> None:
        try:
            self.answer(request)
        except redis.RedisError as error:
            log.warning("logs.redis_away", error=type(error).__name__)
        except Exception:  # a file that cannot be read, for example
            log.exception("logs.not_answered")
        finally:
            self._free.release()


def _alive(reply: str) -> str:
    """Says that somebody still waits for this reply."""
    return f"{reply}:alive"
