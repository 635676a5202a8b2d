"""Re-sealing from the command line: says what it did, and what it could not do."""

from __future__ import annotations

import base64
import os

from core import signing
from core.accounts import workspaces
from core.crypto import Sealer

OLD, NEW = os.urandom(32), os.urandom(32)


def text(key):
    return base64.b64encode(key).decode()


def test_it_says_what_it_did(run, db):
    workspaces.make(db, "Other", "other")
    secret = signing.secret(db, Sealer(OLD), "other")
    given = {"LLM_ENCRYPTION_KEY": text(NEW), "LLM_ENCRYPTION_KEYS_OLD": text(OLD)}
    assert run("reseal", **given) == (0, ["sealed anew: 1"], "")
    assert run("reseal", **given) == (0, ["sealed anew: 0"], "")
    assert signing.secret(db, Sealer(NEW), "other") == secret


def test_what_no_key_opens_is_named(run, db):
    workspaces.make(db, "Other", "other")
    signing.secret(db, Sealer(OLD), "other")
    code, lines, _ = run("reseal", LLM_ENCRYPTION_KEY=text(NEW))
    assert code == 1
    assert lines[-2:] == ["sealed anew: 0", "no configured key opens: other"]


def test_a_key_that_is_none_is_one_clear_line(run):
    code, lines, errors = run("reseal", APP_ENV="production", LLM_ENCRYPTION_KEY="short")
    assert (code, lines) == (1, [])
    assert errors.startswith("vutler: LLM_ENCRYPTION_KEY")
