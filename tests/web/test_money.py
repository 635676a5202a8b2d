"""What a budget, a cap and a price hold against: each act of a greedy user, and what it costs."""

from __future__ import annotations

import socket
import threading
from contextlib import closing
from datetime import timedelta
from decimal import Decimal

import pytest

from core.chat import chat
from core.jobs.run import Runner
from core.llm.transport import provider_transport
from core.metering import true_up
from core.metering.quotes import Quotes
from core.metering.sums import exact
from core.outbound.guard import Guard
from tests.core.jobs.test_run import Held, Inline
from tests.core.metering.rows import PRICES, enter
from tests.providers.scripted import answering, dying, silent
from tests.waiting import LONG_S
from tests.web.asking import ROADS, ask

SAID = {
    "choices": [{"message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 10, "completion_tokens": 1000, "total_tokens": 1010},
}
ASKED = {"message": "hello", "max_tokens": 1000}
PRICE = {"provider": "openai", "model": "m", "input": 1, "output": 1}
ONE = 0.0012
"""A little more than `ASKED` costs at `PRICE`."""

LONG = "word " * 2000


class LeftAlone(Held):
    """Work that is left behind when it is asked to end, at whatever it waits for."""

    def __init__(self, function):
        super().__init__(function)
        threading.Thread(target=self.go, daemon=True).start()

    def go(self):
        self.function()
        self.killed.set()


@pytest.fixture
def agent(services, member, admin, vendor):
    """An agent's id: a stored key at an address of its own, at the workspace's price."""
    services.settings = services.settings.model_copy(
        update={"custom_endpoint_allow": "127.0.0.1", "job_timeout_s": 60}
    )
    vendor.says(answering(SAID))
    price(admin)
    config = {"provider": "openai", "model": "m", "custom_endpoint": vendor.url, "api_key": "sk-0123456789ab"}
    return member.post("/agents", {"name": "scout", "llm_config": config}).json["id"]


@pytest.fixture
def spender(client_for):
    return client_for("member", budget_usd=ONE, budget_period="day")


@pytest.fixture
def runner(services, agent):
    with closing(provider_transport(services.settings)) as transport:
        handlers = chat.asking(transport, Quotes(services.db, PRICES))
        yield Runner(services, "p1", handlers, start=Inline, lost=lambda: False)


def price(admin, **rates):
    assert admin.put("/workspaces/default/prices", {**PRICE, **rates}).status_code == 200


def accept(client, agent, **more):
    asked = client.post(f"/agents/{agent}/chat", {**ASKED, **more})
    assert asked.status_code == 202, asked.text
    return asked.json["id"]


def carried_out(runner, services, job_id):
    runner.run(job_id)
    enter(services.db)
    return services.db.jobs.find_one({"_id": job_id})


def standing(spender):
    stands = spender.get("/keys/me").json["budget"]
    return stands["spent_usd"], stands["reserved_usd"]


def in_ledger(services):
    return float(sum((exact(row["cost"]) for row in services.db.token_usage.find()), Decimal(0)))


@pytest.mark.parametrize(
    "spelt",
    [
        "https://api.openai.com/v1",
        "https://eu.api.openai.com/v1",
        "https://API.openai.com.:443/v1/chat/completions",
        "https://ａpi.openai。com/v1",
    ],
)
def test_the_vendors_own_address_is_the_vendor_with_its_key_and_its_price(member, client_for, spelt):
    config = {"provider": "openai", "model": "gpt-4o-mini", "custom_endpoint": spelt}
    keyless = member.post("/agents", {"name": "free", "llm_config": config})
    assert (keyless.status_code, keyless.json["code"]) == (422, "key_required")
    config["api_key"] = "sk-0123456789ab"
    made = member.post("/agents", {"name": "keyed", "llm_config": config}).json["id"]
    poor = client_for("member", budget_usd=0.000001, budget_period="day")
    assert poor.post(f"/agents/{made}/chat", ASKED).status_code == 402
    assert poor.post(f"/agents/{made}/llm-test").status_code == 402


def own_key(member, url):
    return {"provider": "openai", "model": "dear", "custom_endpoint": url, "api_key": "sk-0123456789ab"}


def credential(member, url):
    of_all = {"provider": "openai", "api_key": "sk-0123456789ab", "custom_endpoint": url}
    assert member.put("/credentials/main", of_all).status_code == 201
    return {"provider": "openai", "model": "dear", "credential": "main"}


@pytest.mark.parametrize("configured", [own_key, credential])
def test_an_endpoint_with_a_key_whose_price_nobody_knows_is_refused_under_a_budget(
    admin, member, spender, agent, vendor, configured
):
    other = member.post("/agents", {"name": "dear", "llm_config": configured(member, vendor.url)}).json["id"]
    refused = spender.post(f"/agents/{other}/chat", ASKED)
    assert (refused.status_code, refused.json["code"]) == (422, "price_unknown")
    assert member.post(f"/agents/{other}/chat", ASKED).status_code == 202
    assert member.post(f"/agents/{other}/llm-config/explain", ASKED).json["largest_cost"] is None
    price(admin, model="dear", output=0.5)
    assert spender.post(f"/agents/{other}/chat", ASKED).status_code == 202
    assert member.post(f"/agents/{other}/llm-config/explain", ASKED).json["largest_cost"] > 0.0005


@pytest.mark.parametrize(
    "more",
    [
        {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"title": LONG}}}},
        {"extra": {"prediction": {"type": "content", "content": LONG}}},
    ],
    ids=["a schema", "extra"],
)
def test_all_that_is_sent_is_reserved(spender, agent, more):
    assert spender.post(f"/agents/{agent}/chat", {**ASKED, "max_tokens": 1, **more}).status_code == 402


def test_a_file_that_only_the_provider_knows_is_refused_where_nobody_knows_the_models_window(
    member, spender, agent
):
    files = [{"type": "file", "file": {"file_id": "file-1"}}]
    asked = {"messages": [{"role": "user", "content": files}], "max_tokens": 1}
    refused = spender.post(f"/agents/{agent}/chat", asked)
    assert (refused.status_code, refused.json["code"]) == (422, "price_unknown")
    assert "give files with their content" in refused.json["detail"]
    assert member.post(f"/agents/{agent}/chat", asked).status_code == 202


@pytest.mark.parametrize("road", ROADS)
def test_the_service_tier_is_told_and_has_a_price_of_its_own(services, at_once, member, agent, vendor, road):
    tells = {**SAID, "service_tier": "priority"}
    vendor.says(answering(tells))
    more = {"stream_options": {"include_usage": True}} if road == "door-stream" else {}
    assert ask(member, agent, road, service_tier="priority", **more).status == 200
    (job,) = services.db.jobs.find()
    assert (job["result"]["service_tier"], job["result"]["cost"]) == ("priority", None)
    enter(services.db)
    (row,) = services.db.token_usage.find()
    assert (row["cost_status"], row["usage_raw"]["service_tier"]) == ("unknown", "priority")


def test_one_without_a_price_is_refused_under_a_budget(admin, client_for, agent):
    spender = client_for("member", budget_usd=2.5 * ONE, budget_period="day")
    dear = {**ASKED, "service_tier": "priority"}
    refused = spender.post(f"/agents/{agent}/chat", dear)
    assert (refused.status_code, refused.json["code"]) == (422, "price_unknown")
    assert "openai/m@priority" in refused.json["detail"]
    price(admin, model="m@priority", input=2, output=2)
    assert spender.post(f"/agents/{agent}/chat", dear).status_code == 202
    assert spender.post(f"/agents/{agent}/chat", {**ASKED, "service_tier": "default"}).status_code == 402


def test_an_endpoint_without_a_key_is_free_under_a_budget_too(member, spender, agent, vendor):
    config = {"provider": "openai", "model": "local", "custom_endpoint": vendor.url}
    local = member.post("/agents", {"name": "local", "llm_config": config}).json["id"]
    assert spender.post(f"/agents/{local}/chat", ASKED).status_code == 202
    assert standing(spender) == (0, 0)


def test_what_an_endpoint_costs_by_its_workspaces_price_is_in_the_ledger(services, runner, spender, agent):
    carried_out(runner, services, accept(spender, agent))
    (row,) = services.db.token_usage.find()
    assert (row["cost_status"], in_ledger(services)) == ("known", 0.00101)
    assert standing(spender) == (0.00101, 0)


def test_calls_that_are_cancelled_before_their_answer_are_charged_by_estimate(
    services, client_for, agent, vendor, runner
):
    spender = client_for("member", budget_usd=12 * ONE, budget_period="day")

    def cancel(write):
        (job_id,) = runner.running
        runner.stop(job_id, "cancelled")
        silent(write)

    runner.start = LeftAlone
    vendor.says(cancel)
    for _ in range(12):
        assert carried_out(runner, services, accept(spender, agent))["status"] == "cancelled"
    spent, held = standing(spender)
    assert (spent, held) == (in_ledger(services), 0)
    assert 12 * 0.001 < spent < 12 * ONE
    assert {row["cost_status"] for row in services.db.token_usage.find()} == {"estimated"}
    assert spender.post(f"/agents/{agent}/chat", {**ASKED, "max_tokens": 4000}).status_code == 402


def test_one_that_is_cancelled_while_it_still_connects_costs_nothing(
    services, member, client_for, admin, vendor
):
    """The name of its endpoint is not found yet: nothing was sent."""
    runs, over = [], threading.Event()

    def resolve(host, port, **_):
        runs[0].stop(*runs[0].running, "cancelled")
        over.wait(LONG_S)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    price(admin)
    vendor.says(answering(SAID))
    allowed = f"models.test:{vendor.port}"
    services.settings = services.settings.model_copy(
        update={"custom_endpoint_allow": allowed, "job_timeout_s": LONG_S}
    )
    config = own_key(member, f"http://{allowed}/v1") | {"model": "m"}
    agent = member.post("/agents", {"name": "scout", "llm_config": config}).json["id"]
    spender = client_for("member", budget_usd=ONE, budget_period="day")
    with closing(provider_transport(services.settings, guard=Guard(allowed, resolve=resolve))) as transport:
        handlers = chat.asking(transport, Quotes(services.db, PRICES))
        runs.append(Runner(services, "p1", handlers, start=LeftAlone, lost=lambda: False))
        job = carried_out(runs[0], services, accept(spender, agent))
        assert vendor.received == []
        over.set()
    (call,) = job["calls"]
    assert (job["status"], call["outcome"], call["possibly_charged"]) == ("cancelled", "cancelled", False)
    assert (standing(spender), in_ledger(services)) == ((0, 0), 0)


def test_so_are_calls_whose_provider_hung_up_before_an_answer_and_each_try_counts(
    services, client_for, agent, vendor, runner
):
    spender = client_for("member", budget_usd=2 * ONE, budget_period="day")
    vendor.says(dying)
    job = carried_out(runner, services, accept(spender, agent))
    assert job["status"] == "failed"
    charged = [call for call in job["calls"] if call["usage"] is not None]
    assert 0 < len(charged) <= 2 < 3  # the third try does not fit
    spent, _ = standing(spender)
    assert 0.001 * len(charged) < spent == in_ledger(services) <= 2 * ONE


def test_a_call_that_was_refused_by_its_provider_costs_nothing(services, spender, agent, vendor, runner):
    vendor.says(answering({"error": {"message": "no such model"}}, 404))
    assert carried_out(runner, services, accept(spender, agent))["status"] == "failed"
    assert (standing(spender), in_ledger(services)) == ((0, 0), 0)


@pytest.mark.parametrize("periods", [("day", "month"), ("month", "day"), ("day", None)])
def test_what_is_held_counts_on_when_the_period_changes(services, admin, client_for, agent, runner, periods):
    before, after = periods
    spender = client_for("member", budget_usd=3 * ONE, budget_period=before)
    (key,) = [key["id"] for key in admin.get("/keys").json["items"] if key["budget_period"]]
    jobs = [accept(spender, agent) for _ in range(2)]
    changed = {"budget_period": after} if after else {"budget_usd": 2 * ONE}
    assert admin.patch(f"/keys/{key}", changed).status_code == 200
    assert 0.002 < standing(spender)[1] < 2 * ONE
    for job_id in jobs:
        carried_out(runner, services, job_id)
    stands = admin.get(f"/keys/{key}").json["budget"]
    assert (stands["spent_usd"], stands["reserved_usd"]) == (0.00202, 0)
    true_up.tick(services.db)
    assert standing(spender) == (in_ledger(services), 0) == (0.00202, 0)


def test_a_budget_that_is_lowered_holds_for_what_waits(services, admin, client_for, agent, vendor, runner):
    spender = client_for("member", budget_usd=5 * ONE, budget_period="day")
    first, *waiting = [accept(spender, agent) for _ in range(4)]
    carried_out(runner, services, first)
    change_budget(admin, services, budget_usd=2 * ONE)
    ends = [carried_out(runner, services, job_id) for job_id in waiting]
    assert [job["status"] for job in ends] == ["failed", "failed", "succeeded"]
    assert [job["error"]["code"] for job in ends[:2]] == ["budget_exceeded"] * 2
    assert len(vendor.received) == 2
    assert standing(spender) == (in_ledger(services), 0) == (0.00202, 0)


def test_one_that_is_given_holds_for_what_waits(services, admin, client_for, agent, vendor, runner):
    giver = client_for("member")
    waiting = [accept(giver, agent) for _ in range(3)]
    change_budget(admin, services, budget_usd=2 * ONE, budget_period="day")
    ends = [carried_out(runner, services, job_id) for job_id in waiting]
    assert [job["status"] for job in ends] == ["succeeded", "succeeded", "failed"]
    assert ends[2]["error"]["code"] == "budget_exceeded"
    assert standing(giver) == (in_ledger(services), 0) == (0.00202, 0)


def test_and_counts_a_call_that_is_under_way(services, admin, client_for, agent, vendor, runner):
    giver = client_for("member")

    def meanwhile(write):
        change_budget(admin, services, budget_usd=ONE, budget_period="day")
        assert standing(giver) == (0, 0)
        answering(SAID)(write)

    vendor.says(meanwhile)
    assert carried_out(runner, services, accept(giver, agent))["status"] == "succeeded"
    assert standing(giver) == (in_ledger(services), 0) == (0.00101, 0)
    assert giver.post(f"/agents/{agent}/chat", ASKED).status_code == 402


def test_one_that_is_taken_away_and_given_back_counts_what_was_used_meanwhile(
    services, admin, client_for, agent, runner
):
    spender = client_for("member", budget_usd=ONE, budget_period="day")
    waiting = accept(spender, agent)
    change_budget(admin, services, budget_usd=None, budget_period=None)
    price(admin, input=100, output=100)
    jobs = [waiting, accept(spender, agent)]
    assert [carried_out(runner, services, job_id)["status"] for job_id in jobs] == ["succeeded"] * 2
    change_budget(admin, services, budget_usd=1, budget_period="day")
    assert standing(spender) == (in_ledger(services), 0) == (0.202, 0)


def change_budget(admin, services, **fields):
    """Of the key that has made the jobs."""
    key_id = services.db.jobs.find_one()["created_by"]
    assert admin.patch(f"/keys/{key_id}", fields).status_code == 200


def test_a_price_that_was_raised_while_jobs_waited_is_asked_before_the_call(
    services, admin, spender, agent, vendor, runner
):
    job_id = accept(spender, agent)
    price(admin, input=100, output=100)
    job = carried_out(runner, services, job_id)
    assert (job["status"], job["error"]["code"]) == ("failed", "budget_exceeded")
    assert (vendor.received, job["calls"]) == ([], [])
    assert standing(spender) == (0, 0)


def test_so_is_one_that_is_not_known_any_more(services, admin, spender, agent, vendor, runner):
    job_id = accept(spender, agent)
    assert admin.delete("/workspaces/default/prices?provider=openai&model=m").status_code == 204
    job = carried_out(runner, services, job_id)
    assert (job["status"], job["error"]["code"]) == ("failed", "price_unknown")
    assert vendor.received == []


def test_one_that_was_raised_a_little_holds_more_for_the_call(services, admin, client_for, agent, runner):
    spender = client_for("member", budget_usd=3 * ONE, budget_period="day")
    jobs = [accept(spender, agent) for _ in range(2)]
    price(admin, input=1.4, output=1.4)
    assert [carried_out(runner, services, job_id)["status"] for job_id in jobs] == ["succeeded"] * 2
    assert standing(spender) == (in_ledger(services), 0) == (0.002828, 0)


@pytest.mark.parametrize("of", ["agent", "workspace"])
def test_a_hard_cap_holds_for_what_waits_too(services, admin, member, agent, vendor, runner, of):
    """It was accepted while nothing was used; calls that are under way as the cap is reached overshoot it."""
    vendor.says(answering({**SAID, "usage": {"prompt_tokens": 2_000_000, "completion_tokens": 1}}))
    services.settings = services.settings.model_copy(update={"managed_llm_urls": {"openai": vendor.url}})
    ours = member.post("/agents", {"name": "ours", "llm_config": {"managed": True, "tier": "standard"}})
    waiting = [accept(member, ours.json["id"]) for _ in range(5)]
    path = f"/agents/{ours.json['id']}" if of == "agent" else "/workspaces/default"
    assert admin.patch(path, {"limit_policy": "block"}).status_code == 200
    jobs = []
    for job_id in waiting:
        services.keys.forget()  # a moment has passed
        jobs.append(carried_out(runner, services, job_id))
    assert [job["status"] for job in jobs] == ["succeeded"] * 3 + ["failed"] * 2
    assert [job["error"]["code"] for job in jobs[3:]] == ["budget_exceeded"] * 2
    assert ([job["calls"] for job in jobs[3:]], len(vendor.received)) == ([[], []], 3)


def test_nor_does_what_waits_fall_back_to_a_managed_key_above_the_cap(
    services, member, agent, vendor, runner
):
    services.settings = services.settings.model_copy(update={"managed_llm_urls": {"openai": vendor.url}})
    both = {**own_key(member, vendor.url), "allow_managed_fallback": True, "tier": "standard"}
    made = member.post("/agents", {"name": "both", "limit_policy": "block", "llm_config": both}).json["id"]
    waiting = [accept(member, made) for _ in range(2)]
    kinds = []
    for job_id in waiting:
        vendor.says(
            answering({"error": {"message": "this key is wrong"}}, 401),
            answering({**SAID, "usage": {"prompt_tokens": 6_000_000, "completion_tokens": 1}}),
        )
        services.keys.forget()  # a moment has passed
        job = carried_out(runner, services, job_id)
        kinds.append([call["key_kind"] for call in job["calls"]])
    assert kinds == [["custom", "managed"], ["custom"]]
    assert job["error"]["code"] == "provider_key_refused"


def test_a_job_that_waited_over_midnight_counts_on_the_day_of_its_call_alone(
    services, client_for, agent, runner
):
    """Accepted yesterday, called today: the limit of today is used up, and yesterday is free again."""
    spender = client_for("member", budget_usd=ONE, budget_period="day")
    job_id = accept(spender, agent)
    yesterday = moved_to_yesterday(services, job_id)
    job = carried_out(runner, services, job_id)
    assert job["status"] == "succeeded"
    assert standing(spender) == (0.00101, 0)
    assert spender.post(f"/agents/{agent}/chat", ASKED).status_code == 402
    days = {date: day for state in services.db.budgets.find() for date, day in state["days"].items()}
    assert (exact(days[yesterday]["spent"]), exact(days[yesterday]["used"])) == (0, 0)
    true_up.tick(services.db)
    assert standing(spender) == (0.00101, 0)


def test_two_days_have_room_for_one_call_each(services, spender, agent, runner):
    first = accept(spender, agent)
    moved_to_yesterday(services, first)
    second = accept(spender, agent)
    ends = [carried_out(runner, services, job_id) for job_id in (first, second)]
    assert [job["status"] for job in ends] == ["failed", "succeeded"]
    assert ends[0]["error"]["code"] == "budget_exceeded"
    assert standing(spender) == (in_ledger(services), 0) == (0.00101, 0)


def moved_to_yesterday(services, job_id):
    """As if it had been accepted a day ago; that day."""
    job = services.db.jobs.find_one({"_id": job_id})
    ((month, hold),) = job["holds"].items()
    ((_, usd),) = hold["days"].items()
    budget = services.db.budgets.find_one({"_id": f"{job['created_by']}:{month}"})
    before = job["created_at"] - timedelta(days=1)
    date, of_month = f"{before:%Y-%m-%d}", f"{before:%Y-%m}"
    earlier = {**hold, "days": {date: usd}}
    change = {"$set": {f"holds.{of_month}": earlier}} | (
        {} if of_month == month else {"$unset": {f"holds.{month}": ""}}
    )
    services.db.jobs.update_one({"_id": job_id}, change)
    services.db.budgets.delete_one({"_id": budget["_id"]})  # it is made again from the ledger and the jobs
    return date
