"""The whole app over the real stores; only the queue writes down what was sent instead of being worked on."""

from __future__ import annotations

import re
import threading
from contextlib import closing

import pytest
from pydantic import SecretStr
from werkzeug.routing import Rule

from core import deliveries
from core import first_start as first
from core.accounts import keys, workspaces
from core.audit_log import Trail
from core.chat import chat
from core.clock import utcnow
from core.crypto import Sealer
from core.drive import files
from core.ids import new_id
from core.jobs import signals
from core.jobs.claim import claim, finish
from core.jobs.run import Runner
from core.llm.transport import provider_transport
from core.metering.quotes import Quotes
from core.services import Services
from tests.core.drive.uploads import accepted
from tests.core.jobs.test_run import Inline
from tests.core.metering.rows import PRICES
from tests.factory import Sent, queued
from tests.providers.scripted import answering, provider
from tests.web_client import Client, is_page
from web import access
from web.app import create_app
from web.context import STORAGE

MANAGED_KEY = "sk-managed-0123456789"
ADMIN = "an-admin-key-of-the-tests"
ANSWER = {
    "message": {"role": "assistant", "content": "Hello."},
    "finish_reason": "stop",
    "provider": "sandbox",
    "model": "sandbox",
    "usage": dict.fromkeys(
        ("tokens_input", "tokens_output", "tokens_total", "tokens_cached", "tokens_reasoning"), 1
    ),
    "calls": [],
}
TESTED = {
    "ok": True,
    "provider": "sandbox",
    "model": "sandbox",
    "latency_ms": 1,
    "cost": 0,
    "cost_status": "free",
}
RESULTS = {"chat": ANSWER, "runtime": ANSWER, "llm_test": TESTED}


@pytest.fixture(scope="session", autouse=True)
def compiled_once():
    """An app compiles two functions for each of its rules, from the rule's text alone: made once for all."""
    compiled, known = Rule._compile_builder, {}

    def remembered(rule, append_unknown=True):
        key = (rule.rule, append_unknown, *rule._trace, *(rule.defaults or {}).items())
        if key not in known:
            known[key] = compiled(rule, append_unknown)
        return known[key]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Rule, "_compile_builder", remembered)
        yield


@pytest.fixture
def sent():
    return Sent()


@pytest.fixture
def services(settings, mongo, db, redis_client, sent):
    own = settings.model_copy(
        update={
            "mongodb_database": db.name,
            "admin_api_key": None,
            "job_timeout_s": 0.5,
            "failed_logins_per_minute": 1000,
            "managed_llm_keys": {"openai": SecretStr(MANAGED_KEY)},
        }
    )
    services = Services(own, mongo, redis_client, Sealer.from_settings(own), sent)
    yield services
    services.close()


@pytest.fixture
def app(services, watcher):
    db = services.db
    db["keys"].insert_one(
        keys.born(ADMIN, role="admin", workspace_id="default", name="", created_by="test", limits={})
    )
    first.ensure_default_workspace(db)
    return create_app(services, watcher)


@pytest.fixture
def trail(app, services):
    """The audit log of the app; `flush` writes what waits."""
    owners = (getattr(cleanup, "__self__", None) for cleanup in services.cleanups)
    return next(owner for owner in owners if isinstance(owner, Trail))


@pytest.fixture
def client_for(app, services):
    """A client with a key of its own: `client_for("viewer", workspace="other")`."""

    def make(role, *, workspace="default", agents=None, expires_at=None, **limits):
        if services.db.workspaces.find_one({"_id": workspace}) is None:
            workspaces.make(services.db, workspace, workspace)
        _, text = keys.make(
            services.db,
            role=role,
            workspace_id=workspace,
            agents=agents,
            expires_at=expires_at,
            limits=limits,
            created_by="test",
        )
        return Client(app, text)

    return make


@pytest.fixture
def admin(app):
    return Client(app, ADMIN)


@pytest.fixture
def member(client_for):
    return client_for("member")


@pytest.fixture
def nobody(app):
    return Client(app, None)


@pytest.fixture
def agent(member):
    """An agent's id; it uses the sandbox."""
    made = member.post("/agents", {"name": "scout", "llm_config": {"provider": "sandbox"}})
    assert made.status_code == 201, made.text
    return made.json["id"]


def stored(services, app, agent):
    """The id of a file."""
    storage, place = app.extensions[STORAGE], {"workspace_id": "default", "agent_id": agent}
    job = accepted(services.db, storage, b"hello", **place)
    record = services.db.drive_files.find_one({"upload_id": job["_id"]})
    storage.move(record["staged"], record["key"], "text/plain")
    assert files.store(services.db, record, "text/plain")
    return record["_id"]


def delivery(db, workspace, **changes):
    """The id of a webhook that is to be sent."""
    name = new_id()
    url = {"event": "job.succeeded", "url": "https://receiver.example/hook?token=1"}
    born = deliveries.born(name, workspace_id=workspace, job_id=None, now=utcnow(), **url)
    db.deliveries.insert_one({**born, **changes})
    return name


@pytest.fixture
def worked_on(services):
    """Jobs end as soon as they are sent: whoever waits for one gets its answer."""

    def carry_out(sent):
        job = claim(services.db, sent["_id"], "p1")
        finish(services.db, job, status="succeeded", calls=[], result=RESULTS.get(job["kind"]))
        signals.publish(services.redis, signals.CHANGED, sent["_id"])

    services.send = carry_out


@pytest.fixture
def at_once(services):
    """Jobs are carried out as soon as they are sent; providers on this machine may be asked."""
    services.settings = services.settings.model_copy(
        update={"custom_endpoint_allow": "127.0.0.1", "job_timeout_s": 60}
    )
    with closing(provider_transport(services.settings)) as transport:
        handlers = chat.asking(transport, Quotes(services.db, PRICES))
        runner = Runner(services, "p1", handlers, start=Inline, lost=lambda: False)
        services.send = lambda job: runner.run(job["_id"])
        yield


@pytest.fixture
def in_threads(services, at_once):
    """Jobs are carried out at once too, but beside the request: a client sees the deltas as they come."""
    run, running = services.send, []

    def send(job):
        running.append(threading.Thread(target=run, args=(job,)))
        running[-1].start()

    services.send = send
    yield
    for thread in running:
        thread.join()


@pytest.fixture
def vendor():
    """A provider that says what the test tells it to."""
    with provider(answering({})) as running:
        yield running


@pytest.fixture
def claude(member, vendor, in_threads):
    config = {"provider": "anthropic", "model": "claude-sonnet-4-5", "custom_endpoint": vendor.url}
    return member.post("/agents", {"name": "claude", "llm_config": config}).json["id"]


@pytest.fixture
def vendors_agent(member, vendor, in_threads):
    """An agent's id; it asks the vendor, and its jobs are carried out beside the request."""
    config = {"provider": "openai", "model": "m", "custom_endpoint": vendor.url}
    made = member.post("/agents", {"name": "scout", "llm_config": config})
    assert made.status_code == 201, made.text
    return made.json["id"]


@pytest.fixture
def objects(admin, member, agent, services, app):
    """One object of the workspace `default` for every kind of parameter."""
    services.db.conversations.insert_one(
        {"_id": "1", "agent_id": agent, "name": "c1", "created_at": utcnow(), "workspace_id": "default"}
    )
    return {
        "agent_id": agent,
        "job_id": queued(services.db, workspace_id="default", agent_id=agent)["_id"],
        "key_id": admin.post("/keys", {"role": "viewer"}).json["id"],
        "name": member.put("/credentials/main", {"provider": "openai", "api_key": "sk-1"}).json["name"],
        "workspace_id": "default",
        "queue": "chat",
        "tick": "meter",
        "order": "stop",
        "month": "2026-01",
        "model": "agent:scout",
        "conversation_id": "c1",
        "file_id": stored(services, app, agent),
        "delivery_id": delivery(services.db, "default"),
    }


@pytest.fixture
def routes(app, objects):
    """(method, rule, path with objects filled in, body, what its view says of access) of the API's routes."""
    specification = app.test_client().get("/openapi.json").json
    found = []
    for rule in app.url_map.iter_rules():
        says = access.of(app.view_functions[rule.endpoint])
        if says.public or is_page(rule):
            continue
        assert rule.arguments <= set(objects), f"{rule.rule} has a parameter that `objects` does not know"
        path = re.sub(r"<(?:\w+:)?(\w+)>", lambda m: objects[m[1]], rule.rule)
        for method in rule.methods - {"HEAD", "OPTIONS"}:
            found.append((method, rule, path, example(specification, method, rule.rule), says))
    assert len(found) > 20
    return found


def example(specification, method, rule):
    """The JSON body that the specification shows; None: there is none."""
    path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule)
    call = specification["paths"][path][method.lower()]
    content = call.get("requestBody", {}).get("content", {})
    if "application/json" not in content:
        return None
    name = content["application/json"]["schema"]["$ref"].rpartition("/")[2]
    schema = specification["components"]["schemas"][name]
    assert "examples" in schema or not schema.get("required"), f"the body {name} needs an `example`"
    return schema.get("examples", [{}])[0]
