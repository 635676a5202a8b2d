"""A chat as a job: the plan that is made when it is accepted, and what a worker does with it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import structlog
from pymongo.errors import PyMongoError

from core.accounts import limits
from core.chat import attachments, conversations, targets
from core.clock import utcnow
from core.config import Settings
from core.documents import Agent
from core.drive import storages
from core.drive.storage import Storage
from core.jobs import views
from core.jobs.document import Job
from core.jobs.erasing import in_conversation
from core.jobs.events import Emitter
from core.jobs.run import Handler, Run
from core.llm import parameters, router, strange, tiers, windows
from core.llm import plan as routes
from core.llm.breaker import Breaker
from core.llm.exchange import Before, Emit
from core.llm.failures import StreamBroken
from core.llm.plan import FindCredential
from core.llm.records import Call, Plan, PlannedTarget, Rules
from core.llm.transport import provider_transport
from core.llm.types import ChatAnswer, ChatRequest, Target
from core.metering import admission, recheck
from core.metering.calls import tokens
from core.metering.prices import Prices
from core.metering.quotes import Quotes
from core.outbound import names
from core.outbound.transport import Transport
from core.services import Services, connect_redis
from core.store.repeat import through_outages

log = structlog.get_logger(__name__)

Document = dict[str, Any]

BREAKER_REDIS_S = 0.1
TEST: Document = {"messages": [{"role": "user", "content": "Answer with the one word OK."}], "max_tokens": 16}


def plan(agent: Agent, *, settings: Settings, find_credential: FindCredential, runtime: bool = False) -> Plan:
    """All that a worker will need of the agent's configuration, but its keys: they are taken for each call.

    `agent`: one that can be asked. `runtime`: for its own process, which says the system prompt by itself.
    """
    config, kept = agent["llm_config"], rules(agent, settings)
    assert config is not None
    return {
        "targets": routes.make(
            agent["_id"], config, settings=settings, find_credential=find_credential, runtime=runtime
        ),
        "agent": {
            "system_prompt": None if runtime else agent["system_prompt"],
            **{name: config.get(name) for name in parameters.PRESETS},
        },
        "on_worker_loss": kept["on_worker_loss"],
        "content_retention": kept["content_retention"],
        "content_fallback": config["content_fallback"],
    }


def rules(agent: Agent, settings: Settings) -> Rules:
    """What a job's plan says of its agent, also where no provider is asked."""
    return {
        "on_worker_loss": agent["on_worker_loss"],
        "content_retention": agent["content_retention"] or settings.content_retention,
    }


def handlers(services: Services) -> dict[str, Handler]:
    """What a worker does for each kind of job that calls a provider. The clients are made here."""
    transport = provider_transport(services.settings)
    breaker_redis = connect_redis(services.settings, timeout_s=BREAKER_REDIS_S)
    services.cleanups += [transport.close, breaker_redis.close]
    storage = storages.make(services.settings, services.run)
    return asking(transport, Quotes(services.db, Prices()), Breaker(breaker_redis), storage)


def asking(
    transport: Transport, quotes: Quotes, breaker: Breaker | None = None, storage: Storage | None = None
) -> dict[str, Handler]:
    """The handlers, with clients that the caller made and will close. `storage`: of the drive's files."""
    ask = _settled(partial(chat, transport=transport, quotes=quotes, breaker=breaker, storage=storage))
    return {
        "chat": ask,
        "runtime": ask,
        "llm_test": _settled(partial(test, transport=transport, quotes=quotes)),
    }


def chat(
    run: Run,
    transport: Transport,
    quotes: Quotes,
    breaker: Breaker | None = None,
    storage: Storage | None = None,
) -> Document:
    """Ask the agent's providers; returns the result as the API shows it."""
    asked = _request(run.job["request"], run.job["plan"]["agent"], cache_key(run.job))
    request, remembered = _remembering(run, asked)
    if storage is not None:
        request = _with_files(run, request, storage)
    emitter = Emitter(run.services.redis, run.job["_id"], run.job["attempt"])
    emit = (lambda delta: _publish(run, emitter, delta)) if request.stream else None
    try:
        answer, latency_ms = _ask(run, request, transport, quotes, emit, breaker)
    except StreamBroken as broken:
        run.partial = {"message": broken.partial, "partial": True, **_cost(run, quotes), **_calls(run)}
        raise
    return {
        "message": answer.message,
        "finish_reason": answer.finish_reason,
        "provider": answer.provider,
        "model": answer.model,
        "usage": answer.usage.public(),
        **_tier(answer),
        **_cost(run, quotes),
        "latency_ms": latency_ms,
        **_calls(run),
        **remembered,
    }


def _tier(answer: ChatAnswer) -> Document:
    """The service tier at which the provider says that it answered."""
    told = (answer.usage_raw or {}).get("service_tier")
    return {"service_tier": told} if isinstance(told, str) else {}


def _remembering(run: Run, request: ChatRequest) -> tuple[ChatRequest, Document]:
    """The request with its conversation's history, if it has one; and what the result says of that."""
    if in_conversation(run.job) is None:
        return request, {}
    services = run.services
    first = targets.of(run)[0]
    known = windows.window(first.key_kind, first.provider, first.model)
    told, dropped = through_outages(
        lambda: conversations.recall(
            services.db, run.job, request, known or services.settings.unknown_window_tokens
        ),
        what="recall",
        give_up=lambda: run.stopped is not None,
    )
    return told, {"dropped_turns": dropped}


def _with_files(run: Run, request: ChatRequest, storage: Storage) -> ChatRequest:
    """The request with the files that it names, for this call alone."""
    if not any(map(attachments.is_ours, _parts(request.messages))):
        return request
    told = through_outages(
        lambda: attachments.told(run.services.db, storage, run.job["workspace_id"], request.messages),
        what="files",
        give_up=lambda: run.stopped is not None,
    )
    return replace(request, messages=told)


def _parts(messages: Iterable[Document]) -> Iterator[Any]:
    for message in messages:
        content = message.get("content")
        yield from content if isinstance(content, list) else ()


def _publish(run: Run, emitter: Emitter, delta: Document) -> None:
    """Publish a delta; the first one marks a job that must not run again once words were published."""
    emitter.emit("delta", delta)
    if emitter.n == 1 and run.job["plan"].get("on_worker_loss") == "fail_once_streamed":
        mine = {"_id": run.job["_id"], "fence": run.job["fence"]}
        through_outages(
            lambda: run.services.db.jobs.update_one(mine, {"$set": {"streamed": True}}),
            what="streamed",
            give_up=lambda: run.stopped is not None,
        )
        run.job["streamed"] = True


def test(run: Run, transport: Transport, quotes: Quotes) -> Document:
    """One tiny call: does this configuration work?"""
    answer, latency_ms = _ask(run, _request(TEST, {}), transport, quotes)
    asked = {"provider": answer.provider, "model": answer.model, "latency_ms": latency_ms}
    return {"ok": True, **asked, **_cost(run, quotes)}


def _ask(
    run: Run,
    request: ChatRequest,
    transport: Transport,
    quotes: Quotes,
    emit: Emit | None = None,
    breaker: Breaker | None = None,
) -> tuple[ChatAnswer, int]:
    started = time.monotonic()
    answer = router.run(
        request,
        targets.of(run, _within_cap(run)),
        transport=transport,
        calls=run.calls,
        emit=emit,
        breaker=breaker,
        content_fallback=run.job["plan"].get("content_fallback", False),
        before=_before(run, quotes.prices) if "budget" in run.job["plan"] else None,
    )
    return answer, int((time.monotonic() - started) * 1000)


def _within_cap(run: Run) -> list[PlannedTarget]:
    """The targets that may be asked now: the job may have waited since it was accepted."""
    services, allowed = run.services, tiers.table().monthly_tokens()
    plan = through_outages(
        lambda: admission.still_within_cap(services.db, services.keys, run.job, allowed, utcnow()),
        what="cap",
        give_up=lambda: run.stopped is not None,
    )
    return list(plan["targets"])


def _before(run: Run, prices: Prices) -> Before:
    """Hold what a call may cost. While the store is away no call begins that counts for a budget."""

    def before(call: Call, target: Target) -> None:
        services, made = run.services, [*run.job["calls"], *run.calls]
        through_outages(
            lambda: recheck.before_call(
                services.db,
                prices,
                run.job,
                call,
                made,
                keyed=target.api_key is not None,
                unknown_window=services.settings.unknown_window_tokens,
            ),
            what="budget",
            give_up=lambda: run.stopped is not None,
        )

    return before


def cache_key(job: Job) -> str:
    """The same for all chats of a conversation, or of an agent without one. A hash: providers need no ids."""
    whose = f"{job['agent_id']}/{in_conversation(job) or ''}"
    return hashlib.sha256(whose.encode()).hexdigest()[:32]


def _request(asked: Document, agent: Document, cache_key: str | None = None) -> ChatRequest:
    """What a job asks for; where it says nothing, its agent's presets hold."""
    chosen, preset = parameters.chosen(asked, agent)
    return ChatRequest(
        messages=asked["messages"],
        system_prompt=agent.get("system_prompt"),
        stream=asked.get("stream", False),
        parameters=chosen,
        cache_key=cache_key,
        preset=preset,
    )


def _cost(run: Run, quotes: Quotes) -> Document:
    """The cost of all calls of this job: of this claim, and of earlier ones that handed it back."""
    return quotes.cost(run.job["workspace_id"], [*run.job["calls"], *run.calls])


def _calls(run: Run) -> Document:
    return {"calls": [views.call(made) for made in run.calls]}


def _count_unknown(run: Run) -> None:
    """What providers said that nobody knows; a store that is away is not waited for."""
    try:
        strange.count(run.services.db, run.calls)
    except PyMongoError as error:
        log.warning("provider.unknown_not_counted", error=type(error).__name__)


def _settled(handler: Handler) -> Handler:
    """The handler. At a job's end the reserved tokens are corrected, unless the job is handed back."""

    def carry_out(run: Run) -> Document:
        try:
            with names.asked_for_by(run.job["workspace_id"]):
                return handler(run)
        finally:
            _count_unknown(run)
            if run.stopped != "handed_back":
                used = sum(map(tokens, run.calls))
                limits.settle(run.services.redis, run.job, used)

    return carry_out
