"""The proof of the encryption key: another key is known by it, also in a store that has none yet."""

from __future__ import annotations

import pytest

from core import key_proof, reseal, signing
from core.crypto import Sealer

OLD, NEW = b"o" * 32, b"n" * 32


@pytest.fixture
def workspace(db):
    db.workspaces.insert_one({"_id": "w1"})


def test_the_key_of_the_first_start_is_proved_and_another_is_not(db):
    for _ in range(2):
        key_proof.check(db, Sealer(OLD))
    with pytest.raises(key_proof.AnotherKey, match="LLM_ENCRYPTION_KEYS_OLD"):
        key_proof.check(db, Sealer(NEW))
    assert key_proof.said(db, Sealer(NEW)) == "another key"


def test_a_key_that_is_being_changed_is_proved_and_after_sealing_anew_the_new_one_alone(db, settings):
    key_proof.check(db, Sealer(OLD))
    key_proof.check(db, Sealer(NEW, [OLD]))
    reseal.everything(db, Sealer(NEW, [OLD]), settings, sleep=lambda _: None)
    assert key_proof.said(db, Sealer(NEW)) == "ok"
    assert key_proof.said(db, Sealer(OLD)) == "another key"


@pytest.mark.usefixtures("workspace")
def test_a_store_without_a_proof_is_judged_by_what_is_sealed_in_it(db):
    signing.secret(db, Sealer(OLD), "w1")
    assert key_proof.said(db, Sealer(NEW)) == "another key"
    assert key_proof.said(db, Sealer(OLD)) == "ok"
    assert key_proof.said(db, Sealer(NEW)) == "another key"


def test_of_two_processes_that_start_at_once_with_other_keys_one_is_told(db, meanwhile):
    meanwhile.before("insert", "scheduler", lambda: key_proof.check(db, Sealer(OLD)))
    with pytest.raises(key_proof.AnotherKey):
        key_proof.check(meanwhile.db, Sealer(NEW))
