"""The command line for operators, which needs the store and not the server."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from core.accounts import keys, workspaces
from core.clock import utcnow
from core.errors import Unauthorized
from tests.stack import ROOT


@pytest.fixture
def run(settings, db, tmp_path):
    environment = {
        "PATH": os.environ["PATH"],
        "MONGODB_URI": settings.mongodb_uri,
        "MONGODB_DATABASE": db.name,
        "DATA_DIR": str(tmp_path),
    }

    def run(*arguments, **more):
        return subprocess.run(
            [sys.executable, "-m", "web.cli", *arguments],
            cwd=ROOT,
            env={**environment, **more},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_a_key_is_made_listed_and_revoked(run, db):
    made = run("keys", "create", "--role", "viewer", "--name", "for the wall", "--expires-in", "30d")
    assert made.returncode == 0, made.stderr
    key_id, text = made.stdout.split()
    assert keys.authenticate(db, text, utcnow()).role == "viewer"
    listed = run("keys", "list").stdout
    assert re.search(rf"{key_id}\s+viewer\s+alive\s+…{re.escape(text[-4:])}\s+for the wall", listed)
    assert text not in listed
    assert run("keys", "revoke", key_id).returncode == 0
    with pytest.raises(Unauthorized):
        keys.authenticate(db, text, utcnow())
    assert "ended" in run("keys", "list").stdout


def test_keys_belong_to_a_workspace(run, db):
    assert run("keys", "create", "--workspace", "none").returncode == 1
    workspaces.make(db, "Other", "other")
    key_id = run("keys", "create", "--workspace", "other").stdout.split()[0]
    refused = run("keys", "revoke", key_id)
    assert (refused.returncode, refused.stderr) == (1, "vutler: no such key\n")


def test_what_is_not_understood_is_refused(run):
    assert run("keys", "create", "--role", "owner").returncode == 2
    assert run("keys", "create", "--role", "agent").returncode == 1
    assert run("keys", "create", "--expires-in", "soon").returncode == 2


def test_a_store_that_is_away_is_one_clear_line(run):
    refused = run("keys", "list", MONGODB_URI="mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=100")
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert "MONGODB_URI" in refused.stderr


def test_resealing_says_what_it_did(run):
    done = run("reseal")
    assert (done.returncode, done.stdout) == (0, "sealed anew: 0\n")
