"""GET /audit-log: every write by a key, also one that was forbidden; nothing that was said or sealed."""

from __future__ import annotations

import json
from datetime import timedelta

from core.audit_log import Trail
from core.clock import utcnow
from core.services import connect_mongo


def entries(admin, **query):
    asked = "&".join(f"{name}={value}" for name, value in query.items())
    answer = admin.get(f"/audit-log?{asked}")
    assert answer.status_code == 200, answer.text
    return answer.json["items"]


def test_it_says_who_did_what_when_and_from_where(admin, member):
    made = member.post("/agents", {"name": "a"}, headers={"X-Request-Id": "r-1"})
    entry = entries(admin)[0]
    assert (entry["method"], entry["route"], entry["status"]) == ("POST", "/api/v1/agents", 201)
    assert (entry["role"], entry["address"], entry["request_id"]) == ("member", "127.0.0.1", "r-1")
    assert entry["key_id"].startswith("key_")
    assert entry["at"] < utcnow().isoformat() + "Z"
    member.patch(f"/agents/{made.json['id']}", {"name": "b"})
    member.delete(f"/agents/{made.json['id']}")
    later = entries(admin)[:2]
    assert [(e["method"], e["target"]["agent_id"]) for e in later] == [
        ("DELETE", made.json["id"]),
        ("PATCH", made.json["id"]),
    ]


def test_reads_and_writes_that_failed_are_not_in_it(admin, member):
    member.get("/agents")
    member.post("/agents", {"name": 5})
    member.delete("/agents/none")
    assert entries(admin) == []


def test_what_was_forbidden_is_in_it(admin, client_for):
    client_for("viewer").post("/agents", {"name": "a"})
    (entry,) = entries(admin)
    assert (entry["role"], entry["status"]) == ("viewer", 403)


def test_a_chat_is_in_it_within_a_second_or_so(admin, member, agent, trail):
    member.post(f"/agents/{agent}/chat", {"message": "a secret word"})
    trail.flush()
    assert entries(admin)[0]["route"] == "/api/v1/agents/<agent_id>/chat"


def test_no_key_and_no_prompt_is_in_it(admin, member, agent):
    secret = "sk-very-secret-0123456789"
    member.put(f"/agents/{agent}/llm-config", {"provider": "openai", "model": "m", "api_key": secret})
    member.put("/credentials/main", {"provider": "openai", "api_key": secret})
    made = admin.post("/keys", {"role": "viewer"})
    kept = json.dumps(entries(admin))
    assert len(entries(admin)) == 4
    assert secret not in kept
    assert made.json["key"] not in kept


def test_a_workspace_sees_its_own(admin, client_for):
    client_for("member", workspace="other").post("/agents", {"name": "a"})
    assert entries(admin) == []
    assert len(admin.get("/audit-log", headers={"X-Workspace": "other"}).json["items"]) == 1


def test_it_is_paged_and_cut_by_time(admin, member):
    for n in range(5):
        member.post("/agents", {"name": f"a{n}"})
    first = admin.get("/audit-log?limit=3").json
    rest = admin.get(f"/audit-log?limit=3&cursor={first['next_cursor']}").json
    assert (len(first["items"]), len(rest["items"]), rest["next_cursor"]) == (3, 2, None)
    tomorrow = (utcnow() + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert entries(admin, since=tomorrow) == []


def test_entries_that_wait_outlive_an_outage(db, settings):
    gone = connect_mongo(settings.model_copy(update={"mongodb_uri": "mongodb://127.0.0.1:1"}), patience_s=0.1)
    trail = Trail(gone[db.name], flush_s=3600)
    trail.soon(workspace_id="w1", method="POST")
    trail.flush()
    trail.db = db  # the store is back
    trail.close()
    gone.close()
    assert db.audit_log.count_documents({"workspace_id": "w1"}) == 1
