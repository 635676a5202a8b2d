"""Every route of the app, as its table of routes has them: whom it refuses. A new route is covered as it is.

A route with a new kind of parameter needs an object in `objects` of the conftest; a body that cannot be empty
needs an `example` on its model.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.clock import utcnow
from tests.factory import queued
from web import access

PUBLIC = {
    "/healthz",
    "/readyz",
    "/metrics",
    "/openapi.json",
    "/docs",
    "/swagger/<path:name>",
    "/sign-in",
    "/sign-in/<code>",
    "/static/<digest>/<path:name>",
}
FOR_AGENTS = {
    ("POST", "/api/v1/agents/<agent_id>/chat"),
    ("GET", "/api/v1/jobs/<job_id>"),
    ("POST", "/api/v1/jobs/<job_id>/cancel"),
    ("GET", "/api/v1/jobs/<job_id>/events"),
    ("GET", "/api/v1/jobs/<job_id>/ws"),
    ("POST", "/api/v1/jobs/<job_id>/ticket"),
    ("POST", "/v1/chat/completions"),
    ("GET", "/v1/models"),
    ("GET", "/v1/models/<path:model>"),
    ("GET", "/api/v1/agents/<agent_id>/usage"),
    ("GET", "/api/v1/keys/me"),
    ("GET", "/api/v1/keys/me/usage"),
    ("POST", "/api/v1/drive/upload"),
    ("GET", "/api/v1/drive/files"),
    ("GET", "/api/v1/drive/files/<file_id>"),
    ("PATCH", "/api/v1/drive/files/<file_id>"),
    ("DELETE", "/api/v1/drive/files/<file_id>"),
    ("GET", "/api/v1/drive/download/<file_id>"),
}
FOR_PROCESSES = {
    ("POST", "/v1/chat/completions"),
    ("GET", "/v1/models"),
    ("GET", "/v1/models/<path:model>"),
}
UPGRADE = {"Connection": "Upgrade", "Upgrade": "websocket"}
ANY_WORKSPACE = {"workspace_id", "queue", "month", "tick"}
MAKES_WHAT_IS_NOT_THERE = {("PUT", "/api/v1/credentials/<name>")}


def answers(client, routes):
    for method, rule, path, body, says in routes:
        given = {"json": body} if body is not None else {}
        given |= {"headers": UPGRADE} if rule.websocket else {}
        yield f"{method} {rule.rule}", client(method, path, **given), says


def belongs_to_a_workspace(method, rule):
    return bool(rule.arguments - ANY_WORKSPACE) and (method, rule.rule) not in MAKES_WHAT_IS_NOT_THERE


def test_only_these_are_open_to_all(app):
    rules = [r for r in app.url_map.iter_rules() if access.of(app.view_functions[r.endpoint]).public]
    assert {rule.rule for rule in rules} == PUBLIC


def test_only_these_are_for_keys_of_an_agent(routes):
    assert {(method, rule.rule) for method, rule, *_, says in routes if says.agent} == FOR_AGENTS


def test_every_route_refuses_no_key(nobody, routes):
    for route, answer, _ in answers(nobody, routes):
        assert answer.status_code == 401, route
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("key", ["vtl_wrong", "", "é" * 40, "a" * 10_000])
def test_every_route_refuses_a_wrong_key(nobody, routes, key):
    nobody.headers["Authorization"] = f"Bearer {key}"
    for route, answer, _ in answers(nobody, routes):
        assert answer.status_code == 401, route


def test_every_route_refuses_an_expired_key(client_for, routes):
    expired = client_for("admin", expires_at=utcnow() - timedelta(seconds=1))
    for route, answer, _ in answers(expired, routes):
        assert answer.status_code == 401, route


def test_to_another_workspaces_key_nothing_is_there(client_for, routes):
    stranger = client_for("member", workspace="other")
    owned = [route for route in routes if belongs_to_a_workspace(*route[:2])]
    for route, answer, says in answers(stranger, owned):
        assert answer.status_code == (403 if says.admin else 404), f"{route}: {answer.text}"


def test_to_an_admin_in_another_workspace_nothing_is_there(client_for, admin, routes):
    client_for("member", workspace="other")
    admin.headers["X-Workspace"] = "other"
    owned = [route for route in routes if belongs_to_a_workspace(*route[:2])]
    for route, answer, _ in answers(admin, owned):
        assert answer.status_code == 404, f"{route}: {answer.text}"


def test_every_key_is_bound_to_its_workspace(client_for, routes):
    member = client_for("member")
    client_for("member", workspace="other")
    member.headers["X-Workspace"] = "other"
    for route, answer, _ in answers(member, routes):
        assert answer.status_code == 404, route


def test_every_write_refuses_a_viewer(client_for, routes):
    viewer = client_for("viewer")
    writes = [route for route in routes if route[0] != "GET" and not route[-1].own]
    for route, answer, _ in answers(viewer, writes):
        assert answer.status_code == 403, route


def test_a_viewer_may_read_what_is_not_for_admins(client_for, routes):
    viewer = client_for("viewer")
    reads = [route for route in routes if route[0] == "GET" and not route[1].websocket]
    for route, answer, says in answers(viewer, reads):
        assert answer.status_code == (403 if says.admin or says.members else 200), route


def test_what_is_for_admins_refuses_a_member(member, routes):
    for route, answer, says in answers(member, routes):
        assert (answer.status_code == 403) == says.admin, f"{route}: {answer.text}"


def test_a_key_of_an_agent_does_nothing_else(client_for, agent, routes):
    bound = client_for("agent", agents=[agent])
    for route, answer, says in answers(bound, routes):
        assert (answer.status_code == 403) != says.agent, f"{route}: {answer.text}"


def test_a_key_of_an_agents_process_speaks_as_its_agent_and_does_nothing_else(client_for, agent, routes):
    process = client_for("runtime", agents=[agent])
    for route, answer, says in answers(process, routes):
        assert (answer.status_code == 403) != says.runtime, f"{route}: {answer.text}"
    assert {(method, rule.rule) for method, rule, *_, says in routes if says.runtime} == FOR_PROCESSES


def test_nobody_can_ask_for_a_key_of_an_agents_process(admin, agent):
    asked = {"role": "runtime", "agents": [agent]}
    assert admin.post("/keys", asked).status_code == 422


def test_to_a_key_of_another_agent_nothing_is_there(client_for, routes):
    for bound in (client_for("agent", agents=["another"]), client_for("member", agents=["another"])):
        owned = [
            r for r in routes if {"agent_id", "job_id"} & r[1].arguments and (r[4].agent or not r[4].admin)
        ]
        for route, answer, says in answers(bound, owned):
            assert answer.status_code == 404 or (answer.status_code == 403 and not says.agent), route


def test_a_key_for_some_agents_sees_nothing_of_the_whole_workspace(client_for, agent, routes):
    bound = client_for("member", agents=[agent])
    whole = [r for r in routes if not {"agent_id", "job_id"} & r[1].arguments and not r[4].agent]
    for route, answer, says in answers(bound, whole):
        assert (answer.status_code == 403) != says.filtered, f"{route}: {answer.text}"
    assert {r[1].rule for r in routes if r[4].filtered} == {
        "/api/v1/agents",
        "/api/v1/agents/running",
        "/api/v1/jobs",
        "/api/v1/drive/files",
    }


def test_a_key_for_some_agents_lists_their_jobs_alone(client_for, agent, services):
    mine = queued(services.db, workspace_id="default", agent_id=agent)["_id"]
    queued(services.db, workspace_id="default", agent_id="another")
    queued(services.db, workspace_id="default", agent_id=None)
    some = client_for("member", agents=[agent, "third"])
    assert [job["id"] for job in some.get("/jobs").json["items"]] == [mine]
    assert [job["id"] for job in some.get(f"/jobs?agent_id={agent}").json["items"]] == [mine]
    assert some.get("/jobs?agent_id=another").json["items"] == []
    assert [shown["id"] for shown in some.get("/agents").json["items"]] == [agent]


def test_an_agents_name_means_ones_own_however_soon_after_a_neighbour_has_used_it(client_for):
    clients = [client_for("member", workspace=workspace) for workspace in ("w1", "w2")]
    agent = {"name": "scout", "llm_config": {"provider": "sandbox"}}
    made = [client.post("/agents", agent).json["id"] for client in clients]
    for client, own in zip(clients, made, strict=True):
        assert client.get("/v1/models/agent:scout").json["agent_id"] == own
    for client, own in zip(clients, made, strict=True):
        assert client.get("/agents/agent:scout").json["id"] == own
