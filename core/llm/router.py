"""The router: asks one target after another until one answers. The story of a chat with its providers."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from core.llm import dispensable, families, windows
from core.llm.breaker import Breaker
from core.llm.exchange import Before, Emit, Exchange
from core.llm.failures import Elsewhere, KeyGone, ProviderError, StreamBroken
from core.llm.managed import MANAGED
from core.llm.records import Call
from core.llm.types import ChatAnswer, ChatRequest, Dispensable, Target
from core.outbound.transport import Transport

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Policy:
    """Seconds. When a provider's `Retry-After` is above the cap, the next target is asked at once."""

    first_pause: float = 0.5
    longest_pause: float = 8.0
    retry_after_cap: float = 20.0


def run(
    request: ChatRequest,
    targets: Sequence[Target],
    *,
    transport: Transport,
    calls: list[Call],
    emit: Emit | None = None,
    breaker: Breaker | None = None,
    content_fallback: bool = False,
    before: Before | None = None,
    policy: Policy | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> ChatAnswer:
    """The first answer that a target gives.

    `calls`: each call is noted there (see `Exchange`). `emit` gets the deltas of a streamed answer.
    `content_fallback`: a request that one provider's content policy refuses may go to the next provider.
    `before` is asked before each call.
    When no target answered, raises the `ProviderError` of the first one, which is the one that the user
    configured. Raises `StreamBroken` at once, whichever target's stream it was.
    """
    if not targets:
        raise ProviderError("no provider is configured for this agent")
    targets = _of_one_purse(targets)
    exchange = Exchange(request, transport, calls, emit, before)
    left = breaker.order(targets) if breaker else list(targets)
    failed: list[tuple[Target, ProviderError]] = []
    while left:
        target = left.pop(0)
        try:
            return _ask(exchange, target, breaker, policy or Policy(), sleep)
        except StreamBroken:
            raise
        except ProviderError as error:
            failed.append((target, error))
            left = [other for other in left if _may_follow(error, target, other, content_fallback)]
    verdict = _verdict(targets, failed)
    try:
        raise verdict
    finally:  # an error knows this frame: who knew it too would stay, with all that was sent, for minutes
        failed.clear()
        del verdict


def _of_one_purse(targets: Sequence[Target]) -> list[Target]:
    """Managed targets alone, if the first is managed: a user's own key never pays for a managed call."""
    if targets[0].key_kind != MANAGED:
        return list(targets)
    return [target for target in targets if target.key_kind == MANAGED]


def _may_follow(error: ProviderError, failed: Target, other: Target, content_fallback: bool) -> bool:
    """May `other` be asked after this failure of `failed`? A target that was ruled out is not asked later."""
    if error.elsewhere is Elsewhere.OTHER_KEYS:
        # A managed key may be used again for another model: a 403 can be about the model alone.
        return other.key_kind == MANAGED or (other.base_url, _key(other)) != (failed.base_url, _key(failed))
    if error.elsewhere is Elsewhere.LARGER_WINDOWS:
        return windows.larger(other, failed)
    if error.elsewhere is Elsewhere.IF_OPTED_IN:
        return content_fallback
    return error.elsewhere is Elsewhere.ALL


def _key(target: Target) -> str | None:
    try:
        return target.with_key().api_key
    except KeyGone:
        return None


def _ask(
    exchange: Exchange,
    target: Target,
    breaker: Breaker | None,
    policy: Policy,
    sleep: Callable[[float], None],
) -> ChatAnswer:
    """One target, with retries: at once in another way if a refusal is about that."""
    tries, left_out = 0, set[Dispensable]()
    while True:
        speaking = dispensable.spared(families.spoken(target, exchange.request), left_out)
        try:
            answer = exchange.call(speaking.with_key())
        except ProviderError as error:
            if families.heard(error, speaking, exchange.request):
                continue
            if spare := dispensable.refused(error, speaking, exchange.request):
                left_out.add(spare)
                continue
            tries += 1
            pause = _pause(error, tries, policy)
            if breaker is not None:
                breaker.failed(target, error)
            if tries > error.again or pause is None:
                raise
            log.info("provider.again", provider=target.provider, failure=error.code, pause_s=round(pause, 2))
            sleep(pause)
        else:
            if breaker is not None:
                breaker.succeeded(target)
            return answer


def _pause(error: ProviderError, tries: int, policy: Policy) -> float | None:
    """Back-off with jitter, at least as long as the provider asked for; None: that is too long to wait."""
    if error.retry_after is not None and error.retry_after > policy.retry_after_cap:
        return None
    longest = min(policy.first_pause * 2 ** (tries - 1), policy.longest_pause)
    jittered = random.uniform(longest / 2, longest)  # noqa: S311 - jitter is no secret
    return max(jittered, error.retry_after or 0.0)


def _verdict(targets: Sequence[Target], failed: list[tuple[Target, ProviderError]]) -> ProviderError:
    """The error of the target that is first in the plan; its detail also says how the others failed."""
    failed = sorted(failed, key=lambda pair: targets.index(pair[0]))
    _, first = failed[0]
    others = [f"{target.provider}: {error.detail}" for target, error in failed[1:]]
    if others:
        first.detail = f"{first.detail} (asked after it: {'; '.join(others)})"
    return first
