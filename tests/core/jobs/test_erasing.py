"""Erasing: what a provider said about a lost call does not come back, whoever is late."""

from __future__ import annotations

import json

import pytest

from core.jobs.claim import claim, finish, note_unkept
from core.jobs.erasing import erase
from core.store import overwriting
from tests.factory import CALL, queued

QUOTE = "your prompt, as you know, was: my darkest secret"
QUOTED = {**CALL, "outcome": "provider_refused", "detail": QUOTE}


@pytest.fixture
def lost(db):
    """A claim whose job was finished by another one."""
    job = queued(db)
    return {**claim(db, job["_id"], "p1"), "attempt": 7, "fence": "lost"}


@pytest.fixture
def done(db, lost):
    mine = db.jobs.find_one({"_id": lost["_id"]})
    assert finish(db, mine, status="succeeded", calls=[], result={"message": {"content": "hi"}})
    return db.jobs.find_one({"_id": lost["_id"]})


def kept(db, job):
    return db.jobs.find_one({"_id": job["_id"]})


def test_a_lost_call_keeps_its_words_until_they_are_erased(db, redis_client, lost, done):
    note_unkept(db, lost, [QUOTED])
    assert QUOTE in json.dumps(kept(db, done)["unkept"], default=str)
    erase(db, redis_client, kept(db, done))
    assert QUOTE not in json.dumps(kept(db, done), default=str)


def test_a_lost_call_that_is_noted_after_the_erasure_is_noted_without_words(db, redis_client, lost, done):
    erase(db, redis_client, done)
    note_unkept(db, lost, [QUOTED])
    (noted,) = kept(db, done)["unkept"]
    assert [(call["outcome"], call["detail"]) for call in noted["calls"]] == [("provider_refused", None)]
    assert kept(db, done)["meter"] == "due"


@pytest.mark.parametrize("command", ["update", "find"])
def test_a_lost_call_that_is_noted_in_the_midst_of_the_erasure_loses_its_words(
    db, redis_client, lost, done, meanwhile, command
):
    meanwhile.before(command, "jobs", lambda: note_unkept(db, lost, [QUOTED]))
    erase(meanwhile.db, redis_client, done)
    assert QUOTE not in json.dumps(kept(db, done), default=str)
    assert kept(db, done)["unkept"]


def test_what_is_erased_while_files_are_overwritten_leaves_them_as_well(db, monkeypatch):
    overwriting.note(db)
    monkeypatch.setattr(overwriting, "_overwrite", overwriting.note)
    db.scheduler.update_one({"_id": overwriting.NOTE}, {"$set": {"store": overwriting.TIMES - 1}})
    overwriting.tick(db, None, redis_embedded=False, embedded=True)
    assert db.scheduler.find_one({"_id": overwriting.NOTE})["store"] == overwriting.TIMES
