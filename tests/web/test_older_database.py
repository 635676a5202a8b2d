"""A database that was written before there were upgrades: all of it is read, worked on and counted on."""

from datetime import timedelta

import pytest
from pydantic import SecretStr

from core import reseal
from core.callbacks import outbox
from core.chat import chat
from core.clock import utcnow
from core.crypto import Sealer, provider_key_context
from core.jobs.reconcile import Reconciler
from core.jobs.run import Runner
from core.metering import ledger, rollups
from core.metering.prices import Prices
from core.scheduling.slots import Slots
from core.services import Services
from core.store import indexes, migrations
from tests.core.jobs.test_run import Inline
from tests.databases import load
from tests.web_client import Client


@pytest.fixture
def db(mongo):
    """Empty, without an index."""
    database = mongo["older"]
    yield database
    mongo.drop_database(database.name)


@pytest.fixture
def file(db):
    """What the older version left behind; the database is upgraded."""
    loaded = load(db, "version0")
    migrations.prepare(db)
    return loaded


@pytest.fixture
def services(settings, mongo, db, file, redis_client, sent, obedient):
    own = settings.model_copy(
        update={
            "mongodb_database": db.name,
            "llm_encryption_keys_old": SecretStr("a text key of earlier days"),
            "custom_endpoint_allow": obedient.removeprefix("http://"),
            "managed_llm_keys": {"openai": SecretStr("sk-managed-0123456789")},
        }
    )
    services = Services(own, mongo, redis_client, Sealer.from_settings(own), sent)
    yield services
    services.close()


def rows(file, collection, **equal):
    return [
        d for d in file["documents"][collection] if all(d[name] == value for name, value in equal.items())
    ]


def test_its_indexes_are_those_of_this_version(db, file):
    for collection, wanted in indexes.INDEXES.items():
        made = {index["name"] for index in db[collection].list_indexes()}
        assert made == {index.document["name"] for index in wanted} | {"_id_"}
    assert "slots" not in db.list_collection_names()


def test_its_keys_are_known_and_those_that_ended_are_not(app, file):
    keys = file["keys"]
    for name in ("member", "budget", "rotated"):
        assert Client(app, keys[name]).get("/jobs").status_code == 200
    assert Client(app, keys["revoked"]).get("/jobs").status_code == 401
    (bound,) = rows(file, "keys", name="bound")
    (job,) = rows(file, "jobs", created_by=bound["_id"])
    assert Client(app, keys["bound"]).get(f"/jobs/{job['_id']}").status_code == 200
    assert Client(app, keys["bound"]).get(f"/jobs/{file['jobs']['managed']}").status_code == 404


def test_its_sealed_keys_are_opened(db, services):
    assert reseal.everything(db, services.sealer, services.settings)["cannot_open"] == []


@pytest.mark.parametrize("collection", ["agents", "jobs", "credentials"])
def test_its_lists_show_everything(admin, file, collection):
    shown = admin.get(f"/{collection}?limit=200").json["items"]
    written = rows(file, collection, workspace_id="default")
    assert len(shown) == len(written)


@pytest.mark.parametrize(
    "path",
    [
        "/audit-log",
        "/keys",
        "/queues",
        "/scheduler",
        "/usage/audit?period=month",
        "/usage/overage?month=2026-11",
        "/usage/statements",
        "/usage/summary?period=month",
        "/usage/tiers",
        "/workers",
        "/workspaces",
    ],
)
def test_its_other_views_answer(admin, path):
    assert admin.get(path).status_code == 200


def test_each_of_its_jobs_and_agents_can_be_looked_at(admin, file):
    assert rows(file, "jobs")
    assert rows(file, "agents")
    for job in rows(file, "jobs"):
        assert admin.get(f"/jobs/{job['_id']}").json["status"] == job["status"]
    for agent in rows(file, "agents"):
        assert admin.get(f"/agents/{agent['_id']}").json["name"] == agent["name"]
        assert admin.get(f"/agents/{agent['_id']}/usage?period=month").status_code == 200


def test_its_agents_are_asked_changed_and_explained(admin, file):
    asked = rows(file, "agents")
    for agent in asked:
        path = f"/agents/{agent['_id']}"
        assert admin.post(f"{path}/chat", {"message": "hello"}).status_code == 202
        assert admin.post(f"{path}/llm-config/explain").status_code == 200
        assert admin.patch(path, {"description": "older"}).json["description"] == "older"
        assert admin.get(f"{path}/llm-config").json["top_p"] is None  # a later version's field
    assert len(asked) == 5


def test_its_jobs_are_retried_and_its_keys_rotated(admin, file):
    failed = file["jobs"]["failed"]
    assert admin.post(f"/jobs/{failed}/retry").json["id"] == file["jobs"]["retried"]
    assert admin.post(f"/jobs/{file['jobs']['cancelled']}/retry").status_code == 202
    (member,) = rows(file, "keys", name="member")
    assert admin.patch(f"/keys/{member['_id']}", {"name": "renamed"}).json["name"] == "renamed"


def test_its_conversations_are_shown(admin, file):
    (conversation,) = rows(file, "conversations")
    path = f"/agents/{conversation['agent_id']}/conversations/{conversation['name']}"
    turns = [turn["messages"] for turn in admin.get(path).json["items"]]
    assert [(said["content"], answer["content"]) for said, answer in turns] == [
        ("words=3", "word0 word1 word2 "),
        ("words=2", "word0 word1 "),
        ("words=1", "word0 "),
    ]


def test_a_queued_job_is_carried_out_and_a_running_one_taken_up(db, services, file, sent, obedient):
    jobs, now = file["jobs"], [0.0]
    reconciler = Reconciler(db, sent, ended=lambda _: None, lease_s=15, monotonic=lambda: now[0])
    for now[0] in (0.0, 6.0, 12.0, 18.0):
        reconciler.tick()
    assert {p["dead"] for p in db.processes.find()} == {True}
    assert db.jobs.find_one({"_id": jobs["running_careful"]})["error"]["code"] == "worker_lost"
    runner = Runner(services, "p1", chat.handlers(services), start=Inline, lost=lambda: False)
    for name in ("queued", "queued_budget", "running"):
        ask(db, services, jobs[name], f"{obedient}/v1")
        runner.run(jobs[name])
        job = db.jobs.find_one({"_id": jobs[name]})
        assert (job["status"], job["result"]["message"]["content"]) == ("succeeded", "word0 word1 word2 ")
    assert job["attempt"] == 2


def ask(db, services, job_id, address):
    """Let a job ask a provider that is there; its agent's key was sealed for one that is gone."""
    job = db.jobs.find_one({"_id": job_id})
    moved = {"plan.targets.0.base_url": address, "request.messages.0.content": "hello"}
    db.jobs.update_one({"_id": job_id}, {"$set": moved})
    context = provider_key_context(
        workspace_id=job["workspace_id"],
        holder=f"agent:{job['agent_id']}",
        provider=job["plan"]["targets"][0]["provider"],
        base_url=address,
    )
    now = {"custom_endpoint": address, "sealed_key": services.sealer.seal("sk-now", context)}
    db.agents.update_one({"_id": job["agent_id"]}, {"$set": {f"llm_config.{k}": v for k, v in now.items()}})


def test_what_was_not_metered_is_and_the_roll_ups_agree_with_the_ledger(db, file):
    ledger.enter(db, Prices(), outbox=outbox)
    assert db.token_usage.count_documents({"job_id": file["jobs"]["unmetered"]}) == 1
    rollups.tick(db, utcnow() + timedelta(days=40))
    for table in (db.usage_daily, db.usage_monthly):
        rolled = sum(group["tokens_total"] for group in table.find())
        assert rolled == sum(row["tokens_total"] for row in db.token_usage.find()) > 0


def test_a_tick_goes_on_with_the_time_after_its_last(db, file):
    (tick,) = rows(file, "ticks", _id="rollups")
    done = []
    Slots(
        db,
        "rollups",
        timedelta(minutes=1),
        lambda slot: done.append(slot) or {},
        now=lambda: tick["done_through"] + timedelta(minutes=3),
    ).run()
    assert done == [tick["done_through"] + timedelta(minutes=n) for n in (1, 2, 3)]
