"""The usage calls: what was used, by whatever one asks, and only one's own."""

import csv
import io
import json
from datetime import timedelta

import pytest

from core.clock import utcnow
from core.metering import allowances, rollups, statements
from tests.core.metering.rows import managed, put, row

ALL = (
    "/usage/summary",
    "/usage/tiers",
    "/usage/overage",
    "/usage/audit",
    "/usage/export",
    "/usage/statements",
    "/usage/statements/2026-01",
)


@pytest.fixture
def used(db, agent):
    """Rows of an agent of the default workspace, today and three days ago."""
    now = utcnow()
    mine = {"workspace": "default", "agent": agent}
    rows = [row(now, **mine), row(now - timedelta(days=3), **mine), row(now, model="of my own", **mine)]
    put(db, [*rows, row(now, workspace="other", agent="elsewhere")])
    rollups.tick(db)
    return rows


def test_an_agents_usage(member, agent, used):
    found = member.get(f"/agents/{agent}/usage?period=week").json
    assert (found["agent_id"], found["requests"], found["totals"]["tokens_total"]) == (agent, 3, 51)
    assert (found["cost"], found["cost_status"]) == (0.0000096, "partial")
    assert found["totals"]["requests_unpriced"] == 1
    by_model = {one["model"]: one for one in found["by_model"]}
    assert (by_model["of my own"]["cost"], by_model["of my own"]["cost_status"]) == (None, "unknown")
    assert len(found["by_date"]) == 7
    assert sum(day["tokens_total"] for day in found["by_date"]) == 51
    assert found["allowance"] is None


def test_a_period_of_ones_own_in_ones_own_time_zone(member, agent, used):
    found = member.get(f"/agents/{agent}/usage?from=2026-01-01&to=2026-01-31&tz=Asia/Tokyo").json
    assert found["requests"] == 0
    assert found["period"] == {"from": "2026-01-01", "to": "2026-01-31", "timezone": "Asia/Tokyo"}
    assert [day["date"] for day in found["by_date"]][::30] == ["2026-01-01", "2026-01-31"]


@pytest.mark.parametrize(
    "query",
    [
        "period=year",
        "tz=Nowhere/Else",
        "from=2026-13-01",
        "to=2026-01-01",
        "from=2025-01-01",
        "form=2026-01-01",
    ],
)
@pytest.mark.parametrize("path", ["/usage/summary", "/usage/audit", "/usage/export"])
def test_a_period_that_makes_no_sense_is_a_422(member, path, query):
    answer = member.get(f"{path}?{query}")
    assert answer.status_code == 422
    assert answer.json["errors"]


def test_the_summary_cuts_in_every_direction(member, agent, used):
    found = member.get("/usage/summary?period=week").json
    assert found["requests"] == 3
    for cut in ("by_agent", "by_model", "by_provider", "by_tier", "by_date"):
        assert sum(one["tokens_total"] for one in found[cut]) == 51
    assert found["by_agent"][0]["agent_id"] == agent


def test_another_workspace_sees_its_own_only(client_for, agent, used):
    other = client_for("member", workspace="other")
    assert other.get("/usage/summary").json["requests"] == 1
    assert other.get(f"/agents/{agent}/usage").status_code == 404
    assert len(other.get("/usage/export").text.splitlines()) == 2


def test_an_agents_key_sees_its_own_usage_and_nothing_else(client_for, agent, used):
    bound = client_for("agent", agents=[agent])
    assert bound.get(f"/agents/{agent}/usage").status_code == 200
    assert {bound.get(path).status_code for path in ALL} == {403}


def test_tiers_and_overage(db, member, agent, used):
    put(db, [managed(utcnow(), (2_000_000, 500_000), workspace="default", agent=agent)])
    allowances.tick(db, {"economy": 2_000_000})
    tiers = {tier["name"]: tier for tier in member.get("/usage/tiers").json["items"]}
    assert tiers["economy"]["monthly_tokens"] == 2_000_000
    assert tiers["economy"]["usage"]["tokens_total"] == 2_500_000
    assert tiers["economy"]["usage"]["tokens_overage"] == 500_000
    assert tiers["premium"]["usage"]["requests"] == 0
    found = member.get("/usage/overage").json
    ((total,), (one,)) = (found["by_agent"], found["items"])
    assert (total["agent_id"], total["tokens_overage"], total["calls"]) == (agent, 500_000, 1)
    assert one["tokens_overage"] == 500_000
    assert one["cost"] == total["cost"] > 0
    assert member.get("/usage/overage?month=2020-01").json["items"] == []
    assert member.get("/usage/overage?month=2026-13").status_code == 422


def test_the_audit_says_two_numbers(member, agent, used):
    found = member.get("/usage/audit?period=week").json
    assert (found["calls"], found["rows"], found["equal"], found["rows_of_deleted_jobs"]) == (0, 0, True, 3)


def test_the_export_is_the_ledger(member, used):
    first = str((utcnow() - timedelta(days=5)).date())
    text = member.get(f"/usage/export?format=csv&from={first}")
    assert text.content_type.startswith("text/csv")
    assert "attachment" in text.headers["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(text.text)))
    assert {r["id"] for r in rows} == {r["_id"] for r in used}
    assert {r["cost"] for r in rows} == {"0.0000048", ""}
    lines = member.get(f"/usage/export?format=jsonl&from={first}").text.splitlines()
    assert [json.loads(line)["id"] for line in lines] == [r["id"] for r in rows]


def test_a_text_that_a_spreadsheet_would_run_is_quoted(db, member, agent):
    put(db, [row(utcnow(), workspace="default", model='=HYPERLINK("x")', provider="-2+3")])
    (found,) = csv.DictReader(io.StringIO(member.get("/usage/export").text))
    assert (found["model"], found["provider"]) == ('\'=HYPERLINK("x")', "'-2+3")


def test_a_managed_agents_allowance(db, member, agent, used):
    db.agents.update_one({"_id": agent}, {"$set": {"llm_config.managed": True, "llm_config.tier": "economy"}})
    put(db, [managed(utcnow(), (1_000_000, 500_000), workspace="default", agent=agent)])
    found = member.get(f"/agents/{agent}/usage").json["allowance"]
    assert (found["tier"], found["tokens_used"], found["tokens_left"]) == ("economy", 1_500_000, 500_000)
    assert found["tokens_overage"] == 0
    assert found["resets_at"].endswith("-01T00:00:00.000Z")


def test_statements(db, member, client_for, agent):
    month = f"{utcnow().replace(day=1) - timedelta(days=1):%Y-%m}"
    then = utcnow().replace(day=1) - timedelta(days=3)
    put(db, [managed(then, (2_000_000, 500_000), workspace="default", agent=agent)])
    assert member.get(f"/usage/statements/{month}").json["revision"] is None
    while any(rollups.tick(db).values()):
        pass
    allowances.tick(db, {"economy": 2_000_000})
    statements.tick(db, {"economy": 5}, utcnow() + timedelta(hours=2))
    (listed,) = member.get("/usage/statements").json["items"]
    assert (listed["month"], listed["revision"]) == (month, 1)
    found = member.get(f"/usage/statements/{month}").json
    assert (found["revision"], found["sha256"]) == (1, listed["sha256"])
    assert (found["tiers"][0]["tokens_overage"], found["total"]["tiers_usd"]) == (500_000, "5")
    text = member.get(f"/usage/statements/{month}?format=csv")
    assert text.content_type.startswith("text/csv")
    lines = list(csv.DictReader(io.StringIO(text.text)))
    assert [one["line"] for one in lines] == ["tier", "overage", "usage", "total"]
    assert lines[-1]["amount_usd"] == found["total"]["due_usd"]
    assert member.get(f"/usage/statements/{month}?revision=2").status_code == 404
    assert client_for("member", workspace="other").get("/usage/statements").json["items"] == []


@pytest.mark.parametrize("path", ["2026-13", "november", "2026-01?format=pdf", "2026-01?revision=0"])
def test_a_statement_that_makes_no_sense_is_a_422(member, path):
    assert member.get(f"/usage/statements/{path}").status_code == 422
