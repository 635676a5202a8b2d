"""GET /keys/me and /keys/me/usage: what a key may do, what it has spent, what it has left."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.clock import utcnow
from core.metering import rollups
from tests.core.metering.rows import put, row


def used(services, key, when, **more):
    put(services.db, [row(when, workspace="default", key=key, **more)])


@pytest.mark.parametrize(
    ("role", "may"),
    [
        ("admin", ["read", "write", "administer"]),
        ("member", ["read", "write"]),
        ("viewer", ["read"]),
        ("agent", ["chat"]),
    ],
)
def test_a_key_is_told_what_it_may_do(admin, client_for, agent, role, may):
    bound = [agent] if role == "agent" else None
    own = client_for(role, agents=bound).get("/keys/me").json
    assert (own["role"], own["may"], own["agents"], own["workspace_id"]) == (role, may, bound, "default")
    assert (own["budget"], own["limits"]) == (None, [])
    shown = admin.get(f"/keys/{own['id']}").json
    assert {name: own[name] for name in shown} == shown


def test_a_key_is_told_how_much_of_its_limits_and_its_budget_is_left(client_for, services):
    client = client_for("member", rpm=10, tpm=1000, budget_usd=1, budget_period="month")
    own = client.get("/keys/me").json
    used(services, own["id"], utcnow(), tokens=(1_000_000, 0))
    services.db.budgets.drop()
    own = client.get("/keys/me").json
    requests, tokens = own["limits"]
    assert (requests["name"], requests["limit"], requests["remaining"]) == ("requests", 10, 8)
    assert (tokens["name"], tokens["remaining"]) == ("tokens", 1000)
    assert 0 < tokens["resets_in_s"] <= 60
    budget = own["budget"]
    assert (budget["limit_usd"], budget["spent_usd"], budget["left_usd"]) == (1, 0.15, 0.85)


def test_what_a_key_used_is_told_by_date_and_nobody_elses(client_for, services):
    client, now = client_for("member"), utcnow()
    own = client.get("/keys/me").json["id"]
    for days in (0, 1, 2):
        used(services, own, now - timedelta(days=days))
        used(services, "another", now - timedelta(days=days))
    before = client.get("/keys/me/usage?period=week").json
    assert (before["key_id"], before["requests"], before["totals"]["tokens_total"]) == (own, 3, 51)
    assert [day["requests"] for day in before["by_date"]] == [0, 0, 0, 0, 1, 1, 1]
    assert (before["cost"], before["cost_status"]) == (pytest.approx(3 * 0.0000048), "known")
    rollups.tick(services.db)
    assert client.get("/keys/me/usage?period=week").json == before
    used(services, own, now - timedelta(days=1))
    assert client.get("/keys/me/usage?period=week").json["requests"] == 4


def test_an_admins_key_is_told_what_it_used_in_all_workspaces(admin, services):
    own = admin.get("/keys/me").json["id"]
    now = utcnow()
    put(services.db, [row(now, workspace=name, key=own) for name in ("default", "w2")])
    assert admin.get("/keys/me/usage?period=day").json["requests"] == 2


def test_a_key_that_replaced_another_goes_on_with_what_that_one_used(
    client_for, member, agent, services, app
):
    first = member.post(f"/agents/{agent}/rotate-key", {}).json
    used(services, first["id"], utcnow())
    second = member.post(f"/agents/{agent}/rotate-key", {}).json
    client = type(member)(app, second["key"])
    assert client.get("/keys/me").json["id"] == second["id"]
    assert client.get("/keys/me/usage").json["requests"] == 1


def test_free_calls_are_free_in_the_totals_and_by_date(client_for, services):
    client = client_for("member")
    used(services, client.get("/keys/me").json["id"], utcnow(), key_kind="custom")
    told = client.get("/keys/me/usage?period=day").json
    assert (told["cost"], told["cost_status"]) == (0, "free")
    assert [day["cost_status"] for day in told["by_date"]] == ["free"]
    summary = client.get("/usage/summary?period=day").json
    statuses = [summary["cost_status"]]
    for name in ("by_agent", "by_model", "by_provider", "by_tier", "by_date"):
        statuses += [one["cost_status"] for one in summary[name]]
    assert set(statuses) == {"free"}
