"""Keys from the command line."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from core.accounts import keys, workspaces
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


def test_an_agents_key_names_its_agent(run):
    code, _, errors = run("keys", "create", "--role", "agent")
    assert (code, "--agent" in errors) == (1, True)
    assert run("keys", "create", "--role", "agent", "--agent", "a1")[0] == 0
