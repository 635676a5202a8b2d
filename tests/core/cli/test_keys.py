"""Keys from the command line."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from core.accounts import keys, workspaces
from core.agents import agents
from core.clock import utcnow
from core.errors import Unauthorized


def test_a_key_is_made_listed_and_revoked(run, db):
    code, (line,), _ = run(
        "keys", "create", "--role", "viewer", "--name", "for the wall", "--expires-in", "30d"
    )
    key_id, text = line.split()
    assert code == 0
    assert keys.authenticate(db, text, utcnow()).role == "viewer"
    with pytest.raises(Unauthorized):
        keys.authenticate(db, text, utcnow() + timedelta(days=30, minutes=1))
    listed = "\n".join(run("keys", "list")[1])
    assert re.search(rf"{key_id}\s+viewer\s+alive\s+…{re.escape(text[-4:])}\s+for the wall", listed)
    assert text not in listed
    assert run("keys", "revoke", key_id) == (0, [f"{key_id} ends now"], "")
    with pytest.raises(Unauthorized):
        keys.authenticate(db, text, utcnow())
    assert "ended" in run("keys", "list")[1][0]


def test_a_long_list_is_whole(run, monkeypatch):
    monkeypatch.setattr("core.cli.keys.PAGE", 2)
    made = [run("keys", "create")[1][0].split()[0] for _ in range(5)]
    assert [line.split()[0] for line in run("keys", "list")[1]] == made[::-1]


def test_a_revoked_key_may_have_a_grace(run, db):
    key_id, text = run("keys", "create")[1][0].split()
    run("keys", "revoke", key_id, "--grace", "1h")
    assert keys.authenticate(db, text, utcnow()).role == "member"
    with pytest.raises(Unauthorized):
        keys.authenticate(db, text, utcnow() + timedelta(minutes=61))


def test_keys_belong_to_a_workspace(run, db):
    assert run("keys", "create", "--workspace", "none")[0] == 1
    workspaces.make(db, "Other", "other")
    key_id = run("keys", "create", "--workspace", "other")[1][0].split()[0]
    assert run("keys", "list")[1] == []
    assert run("keys", "revoke", key_id) == (1, [], "vutler: no such key\n")


@pytest.mark.parametrize("named", ["demo", "agent:demo"])
def test_a_key_is_bound_to_an_agent_by_its_id_or_its_name(run, db, named):
    db.agents.insert_one(agents.demo("default"))
    key_id = run("keys", "create", "--role", "agent", "--agent", named)[1][0].split()[0]
    assert keys.get(db, "default", key_id)["agents"] == ["demo"]


@pytest.mark.parametrize(
    ("asked", "code", "said"),
    [
        (["--role", "agent"], 1, "exactly one agent"),
        (["--role", "agent", "--agent", "demo", "--agent", "demo"], 1, "exactly one agent"),
        (["--role", "admin", "--agent", "demo"], 1, "not bound to agents"),
        (["--agent", "demo", "--agent", "nobody"], 1, "not all of these"),
        (["--agent", "agent:nobody"], 1, "not all of these"),
        (["--role", "runtime", "--agent", "demo"], 2, "invalid choice"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_key_that_the_api_refuses_is_refused_here_too(run, db, asked, code, said):
    db.agents.insert_one(agents.demo("default"))
    answer, lines, errors = run("keys", "create", *asked)
    assert (answer, lines, said in errors) == (code, [], True)
    assert db["keys"].count_documents({}) == 0
