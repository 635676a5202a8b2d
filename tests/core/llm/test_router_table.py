"""Every row of the failure table, in every wire format, streamed or not: who is asked, how often, with what.

Own keys, credentials (a `custom` endpoint) and managed keys; a `.netrc`, proxy variables and a certificate
bundle in the environment, and cookies of every provider, change nothing.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from core.config import Settings
from core.llm import router
from core.llm.failures import (
    ContentRefused,
    ContextOverflow,
    Elsewhere,
    KeyRefused,
    ProviderBusy,
    ProviderError,
    ProviderRateLimited,
    ProviderRefused,
    QuotaUsedUp,
    ReadTimeout,
    StreamBroken,
    Unreachable,
)
from core.llm.types import ChatRequest, Target
from tests.providers.hasty import NO_ANSWER, Hasty
from tests.providers.scripted import answering, provider, silent, streaming
from tests.providers.vendors import BEGINNING, failing, good
from tests.stack import free_ports

ALL, NONE, KEYS = Elsewhere.ALL, Elsewhere.NONE, Elsewhere.OTHER_KEYS
WINDOWS, OPTED = Elsewhere.LARGER_WINDOWS, Elsewhere.IF_OPTED_IN
WIRES = ("openai", "anthropic")
BOTH = list(itertools.product(WIRES, (False, True)))


@dataclass(frozen=True)
class Row:
    """How the first target fails; `asked`: how often it is asked in all."""

    name: str
    answer: object
    error: type[ProviderError]
    asked: int
    elsewhere: Elsewhere
    wires: tuple[str, ...] = WIRES
    streams: tuple[bool, ...] = (False, True)
    charged: bool = False


def says(status, message, code=None, kind=None, *headers):
    return lambda wire: failing(wire, status, message, code, kind, *headers)


def minimax(code, message):
    return lambda wire: answering({"base_resp": {"status_code": code, "status_msg": message}})


def in_a_second():
    return format_datetime(datetime.now(UTC) + timedelta(seconds=1), usegmt=True)


TABLE = [
    Row("connection refused", None, Unreachable, 3, ALL),
    *(Row(str(n), says(n, "oops"), ProviderBusy, 3, ALL) for n in (408, 498, 500, 502, 503, 504, 529)),
    *(
        Row(f"MiniMax {n}", minimax(n, "oops"), ProviderBusy, 3, ALL, ("openai",), (False,))
        for n in (1000, 1001, 1024)
    ),
    Row("429", says(429, "slow down"), ProviderRateLimited, 3, ALL),
    Row("429, a second", says(429, "wait", None, None, ("Retry-After", 1)), ProviderRateLimited, 3, ALL),
    Row(
        "429, a date",
        says(429, "wait", None, None, ("Retry-After", in_a_second())),
        ProviderRateLimited,
        3,
        ALL,
    ),
    Row("429, in ms", says(429, "wait", None, None, ("retry-after-ms", 900)), ProviderRateLimited, 3, ALL),
    Row("429, an hour", says(429, "wait", None, None, ("Retry-After", 3600)), ProviderRateLimited, 1, ALL),
    Row("401", says(401, "wrong key"), KeyRefused, 1, KEYS),
    Row("403", says(403, "may not"), KeyRefused, 1, KEYS),
    Row("402", says(402, "pay first"), QuotaUsedUp, 1, KEYS),
    Row("quota", says(429, "over your quota", "insufficient_quota"), QuotaUsedUp, 1, KEYS),
    Row("low credit", says(400, "Your credit balance is too low"), QuotaUsedUp, 1, KEYS),
    Row("MiniMax 1004", minimax(1004, "key"), KeyRefused, 1, KEYS, ("openai",), (False,)),
    Row("MiniMax 1008", minimax(1008, "balance"), QuotaUsedUp, 1, KEYS, ("openai",), (False,)),
    Row(
        "overflow",
        says(400, "prompt is too long: 9 tokens", "context_length_exceeded"),
        ContextOverflow,
        1,
        WINDOWS,
    ),
    Row(
        "content",
        says(400, "against our content policy", "content_policy_violation"),
        ContentRefused,
        1,
        OPTED,
    ),
    *(Row(str(n), says(n, "no such thing"), ProviderRefused, 1, NONE) for n in (400, 404, 422)),
    Row(
        "a redirect", says(302, "", None, None, ("Location", "http://127.0.0.1:1/")), ProviderRefused, 1, NONE
    ),
    Row("no answer", lambda wire: silent, ReadTimeout, 2, ALL, charged=True),
    Row(
        "after the first delta",
        lambda wire: streaming(BEGINNING[wire]),
        StreamBroken,
        1,
        NONE,
        streams=(True,),
        charged=True,
    ),
]
CASES = [(row, wire, stream) for row in TABLE for wire in row.wires for stream in row.streams]
IDS = [f"{row.name}, {wire}, {'streamed' if stream else 'whole'}" for row, wire, stream in CASES]

SMALL = {"openai": ("openai", "o1"), "anthropic": ("anthropic", "claude-3-haiku")}
LARGE = {"openai": ("openai", "gpt-4.1"), "anthropic": ("anthropic", "claude-sonnet-5")}
MAY_FOLLOW = {
    "the same key": {ALL},
    "another key": {ALL, KEYS},
    "another key, a larger window": {ALL, KEYS, WINDOWS},
    "a credential's own endpoint": {ALL, KEYS},
    "a managed key": {ALL, KEYS, WINDOWS},
}
"""Who may be asked after the user's own first key, and after which classes of failure."""


def follower(kind, wire, first, url):
    if kind == "the same key":
        return replace(first, model=first.model)
    name, model = (LARGE if kind.endswith("window") or "managed" in kind else SMALL)[wire]
    key_kind = {"a credential's own endpoint": "custom", "a managed key": "managed"}.get(kind, "byokey")
    return Target(name, model, wire, url, f"secret-of-{key_kind}-second-0123456789", key_kind)


def first_target(wire, url, key_kind="byokey"):
    return Target(*SMALL[wire], wire, url, f"secret-of-{key_kind}-first-9876543210", key_kind)


@pytest.fixture(autouse=True)
def hostile_environment(tmp_path, monkeypatch):
    (tmp_path / ".netrc").write_text(
        "machine 127.0.0.1 login thief password stolen\ndefault login a password b\n"
    )
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "missing.pem"))
    monkeypatch.setenv("CURL_CA_BUNDLE", str(tmp_path / "missing.pem"))


@pytest.fixture(scope="module")
def servers():
    with provider() as one, provider() as two, provider() as three:
        yield one, two, three


@pytest.fixture
def transport():
    made = Hasty(Settings(custom_endpoint_allow="127.0.0.1"), NO_ANSWER)
    yield made
    made.close()


@dataclass
class Asked:
    answer: object
    error: ProviderError | None
    calls: list
    pauses: list


def ask(transport, targets, stream, **options):
    calls, pauses = [], []
    request = ChatRequest([{"role": "user", "content": "Hello"}], stream=stream)
    try:
        answer, error = (
            router.run(request, targets, transport=transport, calls=calls, sleep=pauses.append, **options),
            None,
        )
    except ProviderError as failed:
        answer, error = None, failed
    return Asked(answer, error, calls, pauses)


def received_well(request, target, stream):
    """Its own key in its own place, and nothing of anybody else's."""
    key = request.headers.get("authorization", "").removeprefix("Bearer ") or request.headers.get("x-api-key")
    assert key == target.api_key
    assert (request.headers.get("x-api-key") is None) == (target.wire == "openai")
    assert request.raw.count("secret-of-") == 1
    assert "cookie" not in request.headers
    assert request.headers["accept-encoding"] == "identity"
    assert request.headers["host"] in target.base_url
    assert request.path == {"openai": "/v1/chat/completions", "anthropic": "/v1/messages"}[target.wire]
    assert request.body["model"] == target.model
    assert request.body.get("stream", False) is stream
    assert json.dumps(request.body["messages"]).count("Hello") == 1


def nowhere():
    return f"http://127.0.0.1:{free_ports(1)}/v1"


@pytest.mark.parametrize("kind", MAY_FOLLOW)
@pytest.mark.parametrize(("row", "wire", "stream"), CASES, ids=IDS)
def test_a_failure_of_the_users_own_key(row, wire, stream, kind, transport, servers):
    other = wire if kind == "the same key" else next(w for w in WIRES if w != wire)
    fails = row.answer(wire) if row.answer else None
    one = servers[0].says(*[fails] * row.asked, good(wire, stream))
    transport.url = one.url if fails is silent else ""
    two = servers[1].says(good(other, stream))
    first = first_target(wire, one.url if fails else nowhere())
    second = follower(kind, other, first, two.url)
    asked = ask(transport, [first, second], stream)
    follows = row.elsewhere in MAY_FOLLOW[kind]

    outcomes = [call["outcome"] for call in asked.calls]
    assert outcomes[: row.asked] == [row.error.code] * row.asked
    assert all(call["possibly_charged"] is row.charged for call in asked.calls[: row.asked])
    if kind == "the same key" and not fails:
        assert outcomes[row.asked :] == [row.error.code] * row.asked
    elif follows:
        assert outcomes[row.asked :] == ["ok"]
        assert (asked.answer.provider, asked.answer.model) == (second.provider, second.model)
    else:
        assert len(outcomes) == row.asked
        assert type(asked.error) is row.error
    for request in one.received:
        received_well(request, first, stream)
    for request in two.received:
        received_well(request, second, stream)
    assert len(two.received) == (1 if follows and kind != "the same key" else 0)
    assert "secret-of-" not in json.dumps(asked.calls, default=str) + str(asked.error)


@pytest.mark.parametrize(("row", "wire", "stream"), CASES, ids=IDS)
def test_a_managed_call_stays_on_managed_keys(row, wire, stream, transport, servers):
    fails = row.answer(wire) if row.answer else None
    one = servers[0].says(fails)
    transport.url = one.url if fails is silent else ""
    own, ours = servers[1].says(good(wire, stream)), servers[2].says(good(wire, stream))
    first = first_target(wire, one.url if fails else nowhere(), "managed")
    users = Target(*LARGE[wire], wire, own.url, "secret-of-byokey-0123456789", "byokey")
    managed = Target(*LARGE[wire], wire, ours.url, "secret-of-managed-0123456789", "managed")
    ask(transport, [first, users, managed], stream)
    assert own.received == []
    assert len(ours.received) == (row.elsewhere in {ALL, KEYS, WINDOWS})
    for request in ours.received:
        received_well(request, managed, stream)


@pytest.mark.parametrize(("wire", "stream"), BOTH)
def test_refused_content_is_asked_elsewhere_if_the_agent_opted_in(wire, stream, transport):
    row = next(row for row in TABLE if row.name == "content")
    with provider(row.answer(wire)) as one, provider(good(wire, stream)) as two:
        first = first_target(wire, one.url)
        second = follower("another key", wire, first, two.url)
        asked = ask(transport, [first, second], stream, content_fallback=True)
        assert asked.answer.message["content"].startswith("H")
        received_well(two.received[0], second, stream)


@pytest.mark.parametrize(("wire", "stream"), BOTH)
def test_an_overflow_is_asked_only_where_the_window_is_known_to_be_larger(wire, stream, transport):
    row = next(row for row in TABLE if row.name == "overflow")
    with provider(row.answer(wire)) as one, provider(good(wire, stream)) as two:
        first = first_target(wire, one.url)
        unknown = Target(
            SMALL[wire][0], "model-of-tomorrow", wire, two.url, "secret-of-x-0123456789", "byokey"
        )
        assert ask(transport, [first, unknown], stream).answer is None
        assert ask(transport, [unknown, first], stream).answer is not None
        assert len(two.received) == 1


@pytest.mark.parametrize(("wire", "stream"), BOTH)
def test_what_is_waited_for_is_what_the_provider_asked_for(wire, stream, transport):
    with provider(
        failing(wire, 429, "wait", None, None, ("Retry-After", 7)),
        failing(wire, 429, "wait", None, None, ("retry-after-ms", 11_500)),
        good(wire, stream),
    ) as one:
        asked = ask(transport, [first_target(wire, one.url)], stream)
        assert asked.pauses == [7, 11.5]
        assert [call["outcome"] for call in asked.calls] == ["provider_rate_limited"] * 2 + ["ok"]
