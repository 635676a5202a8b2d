"""/credentials."""

from __future__ import annotations

KEY = "sk-shared-0123456789"


def test_a_credential_is_put_read_listed_and_deleted(member):
    put = member.put("/credentials/main", {"provider": "openai", "api_key": KEY})
    assert (put.status_code, put.json["hasKey"], put.json["key_hint"]) == (201, True, "6789")
    assert member.put("/credentials/main", {"provider": "openai"}).status_code == 200
    read = member.get("/credentials/main")
    assert read.status_code == 200
    assert member.get("/credentials").json == {"items": [read.json], "next_cursor": None}
    assert KEY not in put.text + read.text
    assert member.delete("/credentials/main").status_code == 204
    assert member.get("/credentials/main").status_code == 404


def test_an_agent_uses_it_by_name_and_is_told_when_it_is_gone(member):
    member.put("/credentials/main", {"provider": "openai", "api_key": KEY})
    config = {"provider": "openai", "credential": "main"}
    agent = member.post("/agents", {"name": "scout", "llm_config": config}).json["id"]
    assert member.post(f"/agents/{agent}/chat", {"message": "a"}).status_code == 202
    member.delete("/credentials/main")
    refused = member.post(f"/agents/{agent}/chat", {"message": "a"})
    assert (refused.status_code, refused.json["code"]) == (422, "key_required")


def test_another_address_needs_the_key_again(member):
    member.put("/credentials/main", {"provider": "openai", "api_key": KEY})
    refused = member.put("/credentials/main", {"provider": "anthropic"})
    assert (refused.status_code, refused.json["code"]) == (422, "key_required")


def test_a_name_that_cannot_be_one_is_refused(member):
    assert member.put("/credentials/a b", {"provider": "openai", "api_key": KEY}).status_code == 422


def test_workspaces_do_not_share(member, client_for):
    member.put("/credentials/main", {"provider": "openai", "api_key": KEY})
    other = client_for("member", workspace="other")
    assert other.get("/credentials/main").status_code == 404
    assert other.put("/credentials/main", {"provider": "openai"}).status_code == 422
