"""An agent's log, asked for from anywhere: it lies on the agent's host, and comes through Redis.

Who asks publishes a request on the host's channel; the host's worker pushes lines into a list of that request
alone, which is gone a few seconds after nobody takes from it. Nothing of a log is kept in Redis. One loop
reads on for all who follow, and a workspace has a share of the host: whoever is beyond it is told so.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis
import structlog

from core.errors import RateLimited, Unavailable
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
"""So many requests have their last lines read at the same time; nobody who follows holds such a place."""
SHARE = 16
"""Of them a workspace's: fewer than `AT_ONCE`, for its neighbours."""
FOLLOWERS = 128
"""Requests of a workspace at a host, those who follow included."""
RETRY_S = 5
AWAY_S = 1.0
END, BUSY = b"", b"busy"

log = structlog.get_logger(__name__)


def channel(host: str) -> str:
    """Where a host hears of requests."""
    return f"vutler:runtime:{host}"


@dataclass
class Asker:
    """`position`: how far it was told; None until it follows."""

    reply: str
    workspace_id: str | None
    console: Path
    position: int | None = None


def ask(
    client: redis.Redis, host: str, workspace_id: str, agent_id: str, *, tail: int, follow: bool
) -> Iterator[list[str] | None]:
    """Pieces of the log, the last lines first; None when there was nothing for a moment.

    Ends after the last lines, or, following it, when closed. Raises `Unavailable` when the host does not
    answer, `RateLimited` when the workspace asks it for too many at a time, and `redis.RedisError`.
    """
    reply = f"vutler:log:{new_nonce()}"
    whose = {"workspace_id": workspace_id, "agent_id": agent_id}
    request = {**whose, "tail": tail, "follow": follow, "reply": reply}
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
            if popped[1] == BUSY:
                raise RateLimited(f"the host {host} is asked for too many logs at once", retry_after=RETRY_S)
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
        self._askers: dict[str, Asker] = {}
        self._lock = threading.Lock()
        self._loop = Loop("logs", self._listen, AWAY_S, away=(redis.RedisError,))
        self._following = Loop("logs followed", self._tell_on, FOLLOWED_EVERY_S, away=(redis.RedisError,))

    def start(self) -> None:
        self._loop.start()
        self._following.start()

    def close(self) -> None:
        self._loop.close()
        self._following.close()
        with contextlib.suppress(redis.RedisError):  # they see that nobody answers
            for asker in self._followers():
                self._push(asker.reply, END)

    def answer(self, request: Document) -> None:
        """The last lines; who follows is told on by the loop. Raises `redis.RedisError`."""
        console = Folder(self.root / request["agent_id"]).console
        asker = Asker(request["reply"], request.get("workspace_id"), console)
        if not self._let_in(asker):
            self._push(asker.reply, BUSY)
            return
        follows = False
        try:
            lines, position = log_file.tail(console, request["tail"])
            self._push(asker.reply, json.dumps(lines).encode())
            follows = request["follow"]
        finally:
            if not follows:
                self._leave(asker)
        if follows:
            asker.position = position
        else:
            self._push(asker.reply, END)

    def _let_in(self, asker: Asker) -> bool:
        with self._lock:
            theirs = [one for one in self._askers.values() if one.workspace_id == asker.workspace_id]
            room = len(theirs) < FOLLOWERS and sum(one.position is None for one in theirs) < SHARE
            if room:
                self._askers[asker.reply] = asker
            return room

    def _leave(self, asker: Asker) -> None:
        with self._lock:
            self._askers.pop(asker.reply, None)

    def _followers(self) -> list[Asker]:
        with self._lock:
            return [asker for asker in self._askers.values() if asker.position is not None]

    def _tell_on(self) -> None:
        """What was written meanwhile, for each who still takes it: read once for all at one place."""
        followers = self._followers()
        with self.client.pipeline(transaction=False) as pipe:
            for asker in followers:
                pipe.exists(_alive(asker.reply))
                pipe.llen(asker.reply)
            said = pipe.execute()
        read: dict[tuple[Path, int | None], tuple[bytes, int]] = {}
        for asker, here, ahead in zip(followers, said[::2], said[1::2], strict=True):
            if not here:
                self._leave(asker)
            elif ahead < MOST_AHEAD:
                self._tell(asker, read)

    def _tell(self, asker: Asker, read: dict[tuple[Path, int | None], tuple[bytes, int]]) -> None:
        """`read`: what was read in this round, by log and place."""
        place = (asker.console, asker.position)
        try:
            if place not in read:
                lines, position = log_file.since(asker.console, asker.position or 0)
                read[place] = (json.dumps(lines).encode() if lines else b"", position)
        except OSError:  # its file cannot be read, which keeps no other follower from its own
            log.exception("logs.not_answered")
            self._leave(asker)
            self._push(asker.reply, END)
            return
        piece, asker.position = read[place]
        if piece:
            self._push(asker.reply, piece)

    def _push(self, reply: str, piece: bytes) -> None:
        with self.client.pipeline(transaction=False) as pipe:
            pipe.rpush(reply, piece)
            pipe.expire(reply, ALIVE_S)
            pipe.execute()

    def _listen(self) -> None:
        with self.listening.pubsub(ignore_subscribe_messages=True) as pubsub:
            pubsub.subscribe(channel(self.host))
            while not self._loop.closed.is_set():
                message = pubsub.get_message(timeout=1.0)
                if message is not None:
                    self._take(json.loads(message["data"]))

    def _take(self, request: Document) -> None:
        if not self._free.acquire(blocking=False):
            self._push(request["reply"], BUSY)
            return
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
