"""A message to a running agent, through its own gateway, as a job. Its turn is metered at our door."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

from core.errors import JobFailed
from core.jobs.events import Emitter
from core.jobs.run import Run
from core.llm.failures import ProviderBusy
from core.llm.plain import mapping, mappings, storable, text
from core.llm.sse import Parser
from core.outbound.transport import EVENT_OVERHEAD
from core.runtime import log_file, openclaw
from core.runtime.documents import Record
from core.runtime.folder import Folder
from core.runtime.host import Host
from core.runtime.ports import HOST
from core.runtime.states import READY, RUNNING, UNHEALTHY
from core.store.repeat import through_outages

Document = dict[str, Any]

LOOK_S = 0.1
REASON_WITHIN_S = 2.0
CHUNK = 16 * 1024


def message(run: Run, host: Host) -> Document:
    """What the agent answers. Raises `JobFailed`."""
    keeper = host.keeper(str(run.job["agent_id"]))
    record = _answering(run, lambda: keeper.record)
    _cannot_be_unsaid(run)
    said = Said(run, record, keeper.folder)
    asked = run.job["request"]
    body = {
        "model": openclaw.OWN_MODEL,
        "messages": [{"role": "user", "content": asked["message"]}],
        "stream": bool(asked.get("stream")),
        **({"user": asked["conversation_id"]} if asked.get("conversation_id") else {}),
    }
    answer = said.answer(body)
    choice = next(iter(mappings(answer.get("choices"))), {})
    return {
        "message": storable(choice.get("message")),
        "finish_reason": storable(choice.get("finish_reason")),
        "conversation_id": asked.get("conversation_id"),
    }


def _answering(run: Run, record: Callable[[], Record | None]) -> Record:
    """The agent once it can be talked to: one that starts is waited for."""
    while True:
        seen = record()
        if seen is not None:
            if seen["status"] in (READY, UNHEALTHY) and seen["desired"] == "running":
                return seen
            if seen["status"] not in RUNNING or seen["desired"] == "stopped":
                raise JobFailed(f"the agent does not run: it is {seen['status']}", code="not_running")
        if run.told_to_stop.wait(LOOK_S):
            raise InterruptedError


def _cannot_be_unsaid(run: Run) -> None:
    """From here on the job is not run again when its worker is lost: the agent may have acted already."""
    mine = {"_id": run.job["_id"], "fence": run.job["fence"]}
    through_outages(
        lambda: run.services.db.jobs.update_one(mine, {"$set": {"streamed": True}}),
        what="sent",
        give_up=run.told_to_stop.is_set,
    )
    run.job["streamed"] = True


class Said:
    """One request to the gateway of an agent."""

    def __init__(self, run: Run, record: Record, folder: Folder) -> None:
        self.run = run
        self.port = record["port"] or 0
        self.most = run.services.settings.provider_answer_bytes
        self.folder = folder
        self.emitter = Emitter(run.services.redis, run.job["_id"], run.job["attempt"])
        _, self.log_from = log_file.tail(folder.console, 0)

    def answer(self, body: Document) -> Document:
        """A completion in OpenAI's format. Raises `JobFailed`; `InterruptedError` when the job is ended."""
        try:
            with self._posted(body) as answered:
                if answered.status != http.client.OK:
                    raise self._failure(answered.status)
                if answered.headers.get_content_type() == "text/event-stream":
                    return self._streamed(answered)
                return dict(json.loads(b"".join(_pieces(answered, self.most))))
        except (OSError, http.client.HTTPException, ValueError, RecursionError, ProviderBusy) as error:
            if self.run.told_to_stop.is_set():
                raise InterruptedError from None
            raise JobFailed(f"the agent broke off ({type(error).__name__})", code="broken_off") from None

    @contextmanager
    def _posted(self, body: Document) -> Iterator[http.client.HTTPResponse]:
        """The answer's head. The connection is cut when the job is to end: the agent ends its turn then."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=None)
        over = threading.Event()
        headers = {"Authorization": f"Bearer {self.folder.token()}", "Content-Type": "application/json"}
        try:
            connection.connect()
            threading.Thread(target=self._cut, args=(connection.sock, over), daemon=True).start()
            connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
            with closing(connection.getresponse()) as answered:
                yield answered
        finally:
            over.set()
            connection.close()

    def _cut(self, sock: socket.socket, over: threading.Event) -> None:
        while not over.is_set():
            if self.run.told_to_stop.wait(LOOK_S):
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    return  # it is closed already
                return

    def _streamed(self, answered: http.client.HTTPResponse) -> Document:
        parser, said, finish = Parser(), "", None
        for chunk in _pieces(answered, self.most * EVENT_OVERHEAD):
            for event in map(mapping, parser.feed(chunk)):
                if "error" in event:
                    raise self._failure(answered.status)
                for choice in mappings(event.get("choices")):
                    finish = choice.get("finish_reason") or finish
                    if content := text(mapping(choice.get("delta")).get("content")):
                        said += content
                        self.emitter.emit("delta", {"type": "content", "content": content})
        whole = {"message": {"role": "assistant", "content": said}, "finish_reason": finish}
        return {"choices": [whole]}

    def _failure(self, status: int) -> JobFailed:
        """With the reason, which stands in the log alone, a moment later."""
        deadline = time.monotonic() + REASON_WITHIN_S
        while True:
            lines, _ = log_file.since(self.folder.console, self.log_from)
            reason = openclaw.what_failed(lines)
            if reason or time.monotonic() > deadline:
                return JobFailed(
                    f"the agent's turn failed: {reason or f'status {status}'}", code="turn_failed"
                )
            time.sleep(LOOK_S)


def _pieces(answered: http.client.HTTPResponse, most: int) -> Iterator[bytes]:
    """Its body as it comes. Raises `JobFailed`: an agent may do anything, and its host carries others too."""
    while chunk := answered.read1(CHUNK):
        most -= len(chunk)
        if most < 0:
            raise JobFailed("the agent's answer is larger than allowed", code="broken_off")
        yield chunk
