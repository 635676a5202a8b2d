"""Secrets of callbacks: made once, rotated with a grace in which both sign, sealed at rest."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from core import reseal, signing
from core.clock import utcnow
from core.crypto import Sealer
from core.errors import Conflict

BODY = b'{"type": "job.succeeded"}'
HOUR = timedelta(hours=1)


@pytest.fixture
def sealer():
    return Sealer(b"k" * 32)


@pytest.fixture(autouse=True)
def workspace(db):
    db.workspaces.insert_one({"_id": "w1"})


def headers(db, sealer, now):
    return signing.sign(signing.secrets_of(db, sealer, "w1", now), "m1", utcnow(), BODY)


def takes(secret, sent):
    """Would a receiver that knows this secret take it?"""
    try:
        Webhook(secret).verify(BODY, sent)
    except WebhookVerificationError:
        return False
    return True


@pytest.mark.parametrize(
    ("grace", "later", "both"), [(HOUR, 0.5, True), (HOUR, 1.5, False), (0 * HOUR, 0, False)]
)
def test_after_a_rotation_both_secrets_sign_for_as_long_as_its_grace(db, sealer, grace, later, both):
    now = utcnow()
    before = signing.secret(db, sealer, "w1")
    after = signing.rotate(db, sealer, "w1", grace=grace, now=now)
    sent = headers(db, sealer, now + later * HOUR)
    assert after != before
    assert (takes(after, sent), takes(before, sent)) == (True, both)
    assert signing.secret(db, sealer, "w1") == after


def test_a_second_rotation_ends_the_grace_of_the_first(db, sealer):
    first = signing.secret(db, sealer, "w1")
    second = signing.rotate(db, sealer, "w1", grace=HOUR, now=utcnow())
    third = signing.rotate(db, sealer, "w1", grace=HOUR, now=utcnow())
    sent = headers(db, sealer, utcnow())
    assert [takes(secret, sent) for secret in (first, second, third)] == [False, True, True]


def test_of_two_rotations_at_the_same_time_one_is_told(db, sealer, meanwhile):
    signing.secret(db, sealer, "w1")
    other = []
    meanwhile.before(
        "update",
        "workspaces",
        lambda: other.append(signing.rotate(db, sealer, "w1", grace=HOUR, now=utcnow())),
    )
    with pytest.raises(Conflict):
        signing.rotate(meanwhile.db, sealer, "w1", grace=HOUR, now=utcnow())
    assert signing.secret(db, sealer, "w1") == other[0]


def test_both_are_sealed_and_are_sealed_anew(db, sealer, settings):
    before = signing.secret(db, sealer, "w1")
    after = signing.rotate(db, sealer, "w1", grace=HOUR, now=utcnow())
    stored = json.dumps(db.workspaces.find_one({"_id": "w1"}), default=str)
    assert before.removeprefix("whsec_") not in stored
    assert after.removeprefix("whsec_") not in stored
    reseal.everything(db, Sealer(b"n" * 32, [b"k" * 32]), settings, sleep=lambda _: None)
    assert signing.secrets_of(db, Sealer(b"n" * 32), "w1", utcnow()) == [after, before]


def test_of_two_who_make_the_secret_at_once_both_get_the_same(db, sealer, meanwhile):
    found = []
    meanwhile.before("update", "workspaces", lambda: found.append(signing.secret(db, sealer, "w1")))
    assert signing.secret(meanwhile.db, sealer, "w1") == found[0]
