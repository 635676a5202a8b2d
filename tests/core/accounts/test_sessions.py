"""Sessions: a cookie stands for a key, no longer than the key lives."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.accounts import keys, sessions
from core.clock import utcnow
from core.errors import Unauthorized


@pytest.fixture
def key(db):
    return keys.make(db, role="member", created_by="test")[0]


def test_a_session_says_whose_it_is_and_in_which_workspace(db, key):
    session, caller = sessions.find(db, sessions.begin(db, key), utcnow())
    assert (caller.key_id, caller.role) == (key["_id"], "member")
    assert session["workspace_id"] == "default"


def test_the_store_has_neither_the_cookie_nor_the_key(db, key):
    text = sessions.begin(db, key)
    kept = db.sessions.find_one({})
    assert text not in str(kept)
    assert set(kept) == {"_id", "key_id", "workspace_id", "link", "created_at", "expires_at"}


def test_a_session_ends_when_it_is_signed_out(db, key):
    text = sessions.begin(db, key)
    sessions.end(db, text)
    sessions.end(db, text)
    with pytest.raises(Unauthorized):
        sessions.find(db, text, utcnow())


def test_a_session_ends_with_its_key(db, key):
    text = sessions.begin(db, key)
    keys.revoke(db, key)
    with pytest.raises(Unauthorized):
        sessions.find(db, text, utcnow())


def test_a_session_ends_after_its_time(db, key):
    text = sessions.begin(db, key)
    sessions.find(db, text, utcnow() + sessions.KEPT - timedelta(minutes=1))
    with pytest.raises(Unauthorized):
        sessions.find(db, text, utcnow() + sessions.KEPT)


@pytest.mark.parametrize(
    ("role", "agents"), [("agent", ["a1"]), ("runtime", ["a1"]), ("runtime", None), ("member", ["a1"])]
)
def test_a_key_that_is_bound_to_agents_does_not_sign_in(db, role, agents):
    with pytest.raises(Unauthorized):
        sessions.begin(db, keys.make(db, role=role, agents=agents, created_by="test")[0])


def test_a_session_ends_when_its_key_is_bound_to_agents(db, key):
    text = sessions.begin(db, key)
    keys.change(db, key, {"agents": ["a1"]})
    with pytest.raises(Unauthorized):
        sessions.find(db, text, utcnow())


def test_a_link_signs_in_once(db, key):
    code = sessions.make_link(db, key)
    assert sessions.redeem(db, code, utcnow())["_id"] == key["_id"]
    with pytest.raises(Unauthorized):
        sessions.redeem(db, code, utcnow())


def test_a_link_is_no_session_and_a_session_no_link(db, key):
    code, text = sessions.make_link(db, key), sessions.begin(db, key)
    with pytest.raises(Unauthorized):
        sessions.find(db, code, utcnow())
    with pytest.raises(Unauthorized):
        sessions.redeem(db, text, utcnow())


def test_a_link_is_worth_nothing_after_an_hour_or_without_its_key(db, key):
    code = sessions.make_link(db, key)
    with pytest.raises(Unauthorized):
        sessions.redeem(db, code, utcnow() + sessions.LINK_KEPT)
    keys.revoke(db, key)
    with pytest.raises(Unauthorized):
        sessions.redeem(db, code, utcnow())


def test_an_admin_turns_to_another_workspace(db, key):
    text = sessions.begin(db, key)
    sessions.turn_to(db, sessions.find(db, text, utcnow())[0], "other")
    assert sessions.find(db, text, utcnow())[0]["workspace_id"] == "other"


def test_of_two_who_use_a_link_at_once_one_gets_in(db, key, meanwhile):
    code = sessions.make_link(db, key)
    meanwhile.before("delete", "sessions", lambda: sessions.redeem(db, code, utcnow()))
    with pytest.raises(Unauthorized):
        sessions.redeem(meanwhile.db, code, utcnow())
