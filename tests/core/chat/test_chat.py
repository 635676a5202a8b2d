"""A chat as a worker carries it out: whose key is sent, what it cost, what is in the ledger afterwards."""

from __future__ import annotations

import json
import threading
from contextlib import closing
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from gevent import GreenletExit
from pydantic import SecretStr
from pymongo.errors import OperationFailure

from core.accounts import limits
from core.agents import agent_config, agents
from core.chat import chat
from core.crypto import Sealer
from core.jobs.run import Runner
from core.llm import router, strange
from core.llm.transport import provider_transport
from core.llm.types import ChatRequest, Target
from core.metering import prices
from core.metering.quotes import Quotes
from core.services import Services
from tests.core.jobs.test_run import Inline
from tests.core.metering.rows import PRICES, enter, finished
from tests.factory import Sent, queued

USAGE = {"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17}
COST = 0.0000048
"""12 and 5 tokens of gpt-4o-mini."""
SAID = {"choices": [{"message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}]}


class Provider:
    """A server that speaks OpenAI's format and does as the test says: `answers` maps a key to an answer.

    An answer is (status, body); a list is a stream of chunks that ends there.
    """

    def __init__(self):
        self.asked = []
        self.answers = {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                key = self.headers["Authorization"].removeprefix("Bearer ")
                outer.asked.append((key, body["model"]))
                answer = outer.answers.get(key, (200, {**SAID, "usage": USAGE}))
                chunks = answer if isinstance(answer, list) else None
                status, said = (200, None) if chunks else answer
                self.send_response(status)
                kind = "text/event-stream" if chunks else "application/json"
                self.send_header("Content-Type", kind)
                self.end_headers()
                for chunk in chunks or []:
                    self.wfile.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
                if said is not None:
                    self.wfile.write(json.dumps(said).encode())

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def provider():
    running = Provider()
    yield running
    running.close()


@pytest.fixture
def services(db, mongo, settings, redis_client, provider):
    own = settings.model_copy(
        update={
            "mongodb_database": db.name,
            "custom_endpoint_allow": provider.url.split("/")[2],
            "managed_llm_keys": {name: SecretStr(f"sk-ours-{name}") for name in ("openai", "minimax")},
            "managed_llm_urls": {"openai": provider.url, "minimax": provider.url},
        }
    )
    return Services(own, mongo, redis_client, Sealer(b"k" * 32), Sent())


@pytest.fixture
def carry_out(db, services):
    """Runs a chat of an agent with this configuration; its job as it was kept, entered into the ledger."""
    transport = provider_transport(services.settings)
    handlers = chat.asking(transport, Quotes(db, PRICES))
    runner = Runner(services, "p1", handlers, start=Inline, lost=lambda: False)

    def go(config, kind="chat", reserved=None, meanwhile=lambda: None, **request):
        agent = {**agents.born("w1", "a1", {"name": "a"}), "llm_config": configured(services, config)}
        plan = chat.plan(agent, settings=services.settings, find_credential=lambda name: None)
        db.agents.replace_one({"_id": "a1"}, agent, upsert=True)
        asked = {"messages": [{"role": "user", "content": "hello"}], **request}
        more = {"reserved": reserved} if reserved else {}
        job_id = queued(db, kind=kind, plan={**plan, **more}, request=asked)["_id"]
        meanwhile()
        runner.run(job_id)
        enter(db)
        return db.jobs.find_one({"_id": job_id})

    yield go
    transport.close()


def configured(services, config):
    return agent_config.configured(
        config,
        None,
        workspace_id="w1",
        agent_id="a1",
        sealer=services.sealer,
        settings=services.settings,
        find_credential=lambda name: None,
    )


def entered(db):
    rows = sorted(db.token_usage.find(), key=lambda row: row["n"])
    return [(row["provider"], row["tier"], row["key_kind"], row["tokens_total"]) for row in rows]


STANDARD = {"managed": True, "tier": "standard"}


def test_a_managed_chat_sends_our_key_and_counts_for_its_tier(db, provider, carry_out):
    result = carry_out(STANDARD)["result"]
    assert provider.asked == [("sk-ours-openai", "gpt-4o-mini")]
    assert (result["cost"], result["cost_status"]) == (COST, "known")
    assert entered(db) == [("openai", "standard", "managed", 17)]


def test_tokens_count_for_the_agents_tier_whichever_provider_answered(db, provider, carry_out):
    provider.answers["sk-ours-openai"] = (
        401,
        {"error": {"message": "no such key", "code": "invalid_api_key"}},
    )
    result = carry_out(STANDARD)["result"]
    assert provider.asked == [("sk-ours-openai", "gpt-4o-mini"), ("sk-ours-minimax", "MiniMax-M2.5")]
    assert (result["provider"], [call["http_status"] for call in result["calls"]]) == ("minimax", [401, 200])
    assert entered(db) == [("minimax", "standard", "managed", 17)]


def test_an_endpoint_of_ones_own_is_free_and_carries_no_tier(db, provider, carry_out):
    config = {"provider": "openai", "model": "m", "api_key": "sk-mine", "custom_endpoint": provider.url}
    result = carry_out(config)["result"]
    assert (result["cost"], result["cost_status"]) == (0, "free")
    assert entered(db) == [("openai", "byokey", "custom", 17)]


def test_a_connection_test_says_what_it_cost(db, carry_out):
    result = carry_out(STANDARD, kind="llm_test")["result"]
    assert (result["ok"], result["cost"], result["cost_status"]) == (True, COST, "known")
    assert db.token_usage.find_one({})["request_type"] == "llm_test"


def test_the_workspaces_own_price_is_the_results_and_the_ledgers(db, carry_out):
    rates = {"input": Decimal(1), "output": Decimal(0)}
    prices.set_for_workspace(db, "w1", "openai", "gpt-4o-mini", rates, "2026-11-25")
    assert carry_out(STANDARD)["result"]["cost"] == 0.000012
    assert float(db.token_usage.find_one({})["cost"].to_decimal()) == 0.000012


def test_usage_that_was_not_told_is_estimated_and_says_so(db, provider, carry_out):
    provider.answers["sk-ours-openai"] = (200, SAID)
    result = carry_out(STANDARD)["result"]
    assert result["cost_status"] == "estimated"
    assert result["cost"] > 0
    assert db.token_usage.find_one({})["usage_status"] == "estimated"


def test_a_stream_that_broke_off_is_kept_billed_and_marked(db, provider, carry_out):
    delta = {"choices": [{"index": 0, "delta": {"content": "Once upon"}, "finish_reason": None}]}
    provider.answers["sk-ours-openai"] = [delta, delta]
    job = carry_out(STANDARD, stream=True)
    assert (job["status"], job["result"]["partial"]) == ("failed", True)
    assert job["result"]["message"]["content"] == "Once uponOnce upon"
    assert job["result"]["cost_status"] == "estimated"
    row = db.token_usage.find_one({})
    assert (row["outcome"], row["usage_status"]) == (job["calls"][0]["outcome"], "estimated")
    assert row["outcome"] != "ok"
    assert row["cost_status"] == "estimated"


def test_a_stream_that_is_ended_from_outside_is_counted_for_what_was_said(db, services, provider):
    delta = {"choices": [{"index": 0, "delta": {"content": "Once upon"}, "finish_reason": None}]}
    provider.answers["sk-ours-openai"] = [delta] * 3
    target = Target("openai", "gpt-4o-mini", "openai", provider.url, "sk-ours-openai", "managed", "standard")
    heard, calls = [], []

    def emit(delta):
        heard.append(delta)
        if len(heard) == 2:
            raise GreenletExit  # as a cancelled job's greenlet does, at whatever it waits for

    request = ChatRequest(messages=[{"role": "user", "content": "hello"}], stream=True)
    with closing(provider_transport(services.settings)) as transport, pytest.raises(GreenletExit):
        router.run(request, [target], transport=transport, calls=calls, emit=emit)
    finished(db, [{**call, "attempt": 1, "outcome": "cancelled"} for call in calls], status="cancelled")
    enter(db)
    row = db.token_usage.find_one({})
    assert (row["outcome"], row["usage_status"], row["cost_status"]) == (
        "cancelled",
        "estimated",
        "estimated",
    )
    assert row["tokens_output"] >= 4


def test_the_key_is_the_one_that_is_stored_when_the_call_begins(db, services, provider, carry_out):
    config = {"provider": "openai", "model": "m", "custom_endpoint": provider.url}

    def rotate():
        now = configured(services, {**config, "api_key": "sk-now"})
        db.agents.update_one({"_id": "a1"}, {"$set": {"llm_config": now}})

    assert carry_out({**config, "api_key": "sk-then"}, meanwhile=rotate)["status"] == "succeeded"
    assert provider.asked == [("sk-now", "m")]


def test_a_job_whose_key_was_removed_asks_nobody_and_says_why(db, provider, carry_out):
    config = {"provider": "openai", "model": "m", "api_key": "sk-then", "custom_endpoint": provider.url}
    job = carry_out(config, meanwhile=lambda: db.agents.delete_one({"_id": "a1"}))
    assert (job["status"], job["error"]["code"]) == ("failed", "key_required")
    assert (provider.asked, job["calls"]) == ([], [])


def test_a_refused_call_used_nothing_and_is_not_in_the_ledger(db, provider, carry_out):
    for name in ("openai", "minimax"):
        provider.answers[f"sk-ours-{name}"] = (401, {"error": {"message": "no"}})
    assert carry_out(STANDARD)["status"] == "failed"
    assert entered(db) == []


def test_no_managed_key_is_kept_anywhere(db, carry_out):
    carry_out(STANDARD)
    kept = [list(db[name].find()) for name in db.list_collection_names()]
    assert "sk-ours" not in str(kept)


def test_what_a_job_did_not_use_of_its_reserved_tokens_is_given_back(services, carry_out):
    window = 2**31  # of no minute that has begun: it is left alone
    carry_out(STANDARD, reserved={"tokens": 100, "window": window})
    assert services.redis.keys("vutler:limit:*") == []
    carry_out(STANDARD, reserved=limits.reservation(100))
    (counter,) = services.redis.keys("vutler:limit:tokens:k1:*")
    assert int(services.redis.get(counter)) == 17 - 100


def test_chats_of_a_conversation_have_one_cache_and_other_conversations_and_agents_have_their_own():
    def key(agent, **request):
        return chat.cache_key({"agent_id": agent, "request": request})

    keys = [key("a1"), key("a2"), key("a1", conversation_id="c1"), key("a1", conversation_id="c2")]
    assert len(set(keys)) == 4
    assert keys[2] == key("a1", conversation_id="c1", messages=[])
    assert all(len(one) == 32 and "a1" not in one for one in keys)


def test_an_answer_is_kept_though_what_is_odd_in_it_cannot_be_counted(carry_out, monkeypatch):
    def refused(*_):
        raise OperationFailure("over your space quota", 8000)

    monkeypatch.setattr(strange, "count", refused)
    assert carry_out(STANDARD)["status"] == "succeeded"
