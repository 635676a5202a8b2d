"""An agent's own process at the door: it speaks as its agent, says its prompt itself, and pays its budget."""

from contextlib import closing

import pytest

from core.agents import agents
from core.chat import chat
from core.jobs.run import Runner
from core.llm.transport import provider_transport
from core.metering.quotes import Quotes
from core.runtime import instance_keys
from tests.core.jobs.test_run import Inline
from tests.core.metering.rows import PRICES
from tests.web_client import Client

ASKED = {"messages": [{"role": "user", "content": "Hi"}]}


@pytest.fixture
def made(member):
    """An agent with a prompt, on a tier whose runtime has another model."""

    def make(**more):
        body = {
            "name": "scout",
            "system_prompt": "Be brief.",
            "llm_config": {"managed": True, "tier": "standard"},
        }
        answer = member.post("/agents", {**body, **more})
        assert answer.status_code == 201, answer.text
        return answer.json["id"]

    return make


@pytest.fixture
def process(app, services):
    def client(agent_id):
        agent = agents.get(services.db, "default", agent_id)
        return Client(app, instance_keys.make(services.db, agent, "i1"))

    return client


def asked(client, agent_id, **more):
    return client.post("/v1/chat/completions", {"model": agent_id, **ASKED, **more})


def last(services):
    return services.db.jobs.find_one(sort=[("created_at", -1)])


def test_its_calls_are_of_a_kind_of_their_own_and_counted_under_one_name(services, made, process):
    agent_id = made()
    asked(process(agent_id), agent_id)
    job = last(services)
    assert (job["kind"], job["created_by"], job["agent_id"]) == ("runtime", f"runtime:{agent_id}", agent_id)


def test_no_system_prompt_is_added(services, made, process, member):
    agent_id = made()
    asked(process(agent_id), agent_id)
    assert last(services)["plan"]["agent"]["system_prompt"] is None
    asked(member, agent_id)
    assert last(services)["plan"]["agent"]["system_prompt"] == "Be brief."


def test_it_cannot_speak_as_another(made, process):
    agent_id = made()
    assert asked(process(agent_id), made(name="other")).status_code == 404


def test_its_budget_is_hard_follows_a_change_at_once_and_outlives_its_process(made, process, member):
    agent_id = made(runtime_budget_usd=0.0, runtime_budget_period="day")
    refused = asked(process(agent_id), agent_id)
    assert (refused.status_code, refused.json["error"]["code"]) == (402, "budget_exceeded")
    health = member.get(f"/agents/{agent_id}/health").json
    assert (health["budget_used_up"], health["budget"]["limit_usd"]) == (True, 0)
    client = process(agent_id)
    assert asked(client, agent_id).status_code == 402
    assert member.patch(f"/agents/{agent_id}", {"runtime_budget_usd": 5.0}).status_code == 200
    assert asked(client, agent_id).status_code != 402


def test_its_budget_is_changed_while_it_ends(services, made, process, member, meanwhile):
    agent_id, db = made(), services.db
    process(agent_id)
    meanwhile.before("update", "keys", lambda: instance_keys.end(db, "default", agent_id))
    before, services.mongo = services.mongo, meanwhile.db.client
    assert member.patch(f"/agents/{agent_id}", {"runtime_budget_usd": 5.0}).status_code == 200
    services.mongo = before


def test_a_budget_that_is_changed_holds_for_what_it_has_waiting(services, made, process, member):
    agent_id = made()
    asked(process(agent_id), agent_id)
    waits = last(services)["_id"]
    limit = {"runtime_budget_usd": 0.0, "runtime_budget_period": "day"}
    assert member.patch(f"/agents/{agent_id}", limit).status_code == 200
    with closing(provider_transport(services.settings)) as transport:
        handlers = chat.asking(transport, Quotes(services.db, PRICES))
        Runner(services, "p1", handlers, start=Inline, lost=lambda: False).run(waits)
    job = services.db.jobs.find_one({"_id": waits})
    assert (job["error"]["code"], job["calls"]) == ("budget_exceeded", [])


def test_after_its_end_its_key_is_nothing(services, made, process):
    agent_id = made()
    client = process(agent_id)
    instance_keys.end(services.db, "default", agent_id)
    assert asked(client, agent_id).status_code == 401
