"""Keys and the first start."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from core import first_start as first
from core.accounts import keys, workspaces
from core.clock import utcnow
from core.config import Settings
from core.errors import Conflict, NotFound, Unauthorized


def make(db, **given):
    return keys.make(db, **{"role": "member", "workspace_id": "w1", "created_by": "test", **given})


def valid(db, text, at=None):
    try:
        keys.authenticate(db, text, at or utcnow())
    except Unauthorized:
        return False
    return True


def test_a_key_says_who_calls(db):
    key, text = make(db, role="agent", agents=["a1"], limits={"rpm": 5})
    caller = keys.authenticate(db, text, utcnow())
    assert (caller.key_id, caller.role, caller.workspace_id, caller.rpm) == (key["_id"], "agent", "w1", 5)
    assert caller.may_touch("a1")
    assert not caller.may_touch("a2")
    assert not caller.may_touch(None)


def test_only_its_hash_is_kept(db):
    key, text = make(db)
    assert text.startswith("vtl_")
    assert text not in str(list(db["keys"].find()))
    assert text not in str(keys.public(key))
    assert keys.public(key)["key_hint"] == text[-4:]


@pytest.mark.parametrize("text", ["", "vtl_", "vtl_" + "a" * 43, "\0", "é" * 50])
def test_what_is_no_key_is_refused(db, text):
    assert not valid(db, text)


def test_an_expired_key_is_refused(db):
    _, text = make(db, expires_at=utcnow() + timedelta(hours=1))
    assert valid(db, text)
    assert not valid(db, text, utcnow() + timedelta(hours=1))


def test_a_revoked_key_is_refused_at_once_or_after_its_grace(db):
    key, text = make(db)
    keys.revoke(db, key, timedelta(minutes=5))
    assert valid(db, text)
    assert not valid(db, text, utcnow() + timedelta(minutes=5))
    keys.revoke(db, keys.get(db, "w1", key["_id"]))
    assert not valid(db, text)


def test_a_revoked_key_is_refused_from_that_very_moment(db):
    key, text = make(db)
    keys.revoke(db, key)
    assert not valid(db, text, keys.get(db, "w1", key["_id"])["revoked_at"])


def test_a_longer_grace_does_not_bring_a_key_back(db):
    key, text = make(db)
    keys.revoke(db, key)
    keys.revoke(db, keys.get(db, "w1", key["_id"]), timedelta(hours=1))
    assert not valid(db, text)


def test_another_workspaces_key_is_not_there(db):
    key, _ = make(db)
    with pytest.raises(NotFound):
        keys.get(db, "w2", key["_id"])


def test_rotating_gives_an_agent_a_new_key_with_the_old_ones_limits(db):
    agent = {"_id": "a1", "workspace_id": "w1", "name": "scout"}
    _, old = keys.rotate_for_agent(db, agent, grace=timedelta(), created_by="test")
    (kept,) = keys.of_agent(db, agent)
    keys.change(db, kept, {"rpm": 7, "budget_usd": 0.1, "budget_period": "day"})
    new_key, new = keys.rotate_for_agent(db, agent, grace=timedelta(minutes=1), created_by="test")
    assert valid(db, old)
    assert valid(db, new)
    later = utcnow() + timedelta(minutes=1)
    assert (valid(db, old, later), valid(db, new, later)) == (False, True)
    shown = keys.public(new_key)
    assert (shown["rpm"], shown["budget_usd"], shown["role"], shown["agents"]) == (7, 0.1, "agent", ["a1"])
    assert str(new_key["budget_usd"]) == "0.1"


def test_a_rotated_key_goes_on_counting_as_the_first(db):
    agent = {"_id": "a1", "workspace_id": "w1", "name": "scout"}
    first, text = keys.rotate_for_agent(db, agent, grace=timedelta(minutes=1), created_by="test")
    for _ in range(2):
        _, again = keys.rotate_for_agent(db, agent, grace=timedelta(minutes=1), created_by="test")
        callers = [keys.authenticate(db, key, utcnow()).key_id for key in (text, again)]
        assert callers == [first["_id"]] * 2


def test_limits_outlive_a_key_that_was_revoked(db):
    agent = {"_id": "a1", "workspace_id": "w1", "name": "scout"}
    first, _ = keys.rotate_for_agent(db, agent, grace=timedelta(), created_by="test")
    keys.revoke(db, keys.change(db, first, {"rpm": 1}))
    assert keys.rotate_for_agent(db, agent, grace=timedelta(), created_by="test")[0]["rpm"] == 1


def test_a_rotation_without_grace_ends_those_in_grace_too(db):
    agent = {"_id": "a1", "workspace_id": "w1", "name": "scout"}
    texts = [
        keys.rotate_for_agent(db, agent, grace=grace, created_by="test")[1]
        for grace in (timedelta(), timedelta(minutes=10), timedelta())
    ]
    assert [valid(db, text) for text in texts] == [False, False, True]


def test_rotating_an_agents_key_leaves_a_persons_alone(db):
    agent = {"_id": "a1", "workspace_id": "w1", "name": "scout"}
    _, persons = make(db, agents=["a1"])
    keys.rotate_for_agent(db, agent, grace=timedelta(), created_by="test")
    keys.rotate_for_agent(db, agent, grace=timedelta(), created_by="test")
    assert valid(db, persons)


def test_a_rotated_key_ends_when_the_first_would_have_ended(db):
    agent = {"_id": "a1", "workspace_id": "w1", "name": "scout"}
    first, _ = keys.rotate_for_agent(db, agent, grace=timedelta(), created_by="test")
    ends = keys.change(db, first, {"expires_at": utcnow() + timedelta(hours=1)})["expires_at"]
    assert keys.rotate_for_agent(db, agent, grace=timedelta(), created_by="test")[0]["expires_at"] == ends


def test_an_expired_key_is_not_rotated(db):
    agent = {"_id": "a1", "workspace_id": "w1", "name": "scout"}
    first, _ = keys.rotate_for_agent(db, agent, grace=timedelta(), created_by="test")
    keys.change(db, first, {"expires_at": utcnow() - timedelta(seconds=1)})
    with pytest.raises(Conflict):
        keys.rotate_for_agent(db, agent, grace=timedelta(), created_by="test")
    assert len(keys.of_agent(db, agent)) == 1


def test_of_many_rotations_at_once_one_key_stays(db):
    agent = {"_id": "a1", "workspace_id": "w1", "name": "scout"}

    def rotate(_):
        try:
            return keys.rotate_for_agent(db, agent, grace=timedelta(), created_by="test")[1]
        except Conflict:
            return None

    with ThreadPoolExecutor(8) as pool:
        texts = [text for text in pool.map(rotate, range(8)) if text]
    assert sum(valid(db, text) for text in texts) == 1
    assert sum(keys.alive(key, utcnow()) for key in keys.of_agent(db, agent)) == 1


def test_the_first_start_makes_an_admin_key_once_and_keeps_it_private(db, tmp_path, capsys):
    settings = Settings(data_dir=tmp_path / "data")
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: first.ensure(db, settings), range(6)))
    path = tmp_path / "data" / "admin.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = path.read_text().strip()
    assert keys.authenticate(db, text, utcnow()).role == "admin"
    said = capsys.readouterr().out
    assert said.count(str(path)) == 1
    assert text not in said  # this output is no terminal: it may be kept
    assert db["keys"].count_documents({}) == 1
    assert [(a["_id"], a["workspace_id"]) for a in db.agents.find()] == [("demo", "default")]


def test_the_kept_key_is_entered_again_into_an_empty_store(db, tmp_path):
    text, made = first.local_key(tmp_path)
    assert made
    first.ensure(db, Settings(data_dir=tmp_path))
    assert keys.authenticate(db, text, utcnow()).role == "admin"


def test_another_host_with_the_same_store_makes_no_second_admin(db, tmp_path):
    first.ensure(db, Settings(data_dir=tmp_path / "one"))
    first.ensure(db, Settings(data_dir=tmp_path / "two"))
    assert db["keys"].count_documents({}) == 1
    assert not (tmp_path / "two").exists()


def test_the_environments_key_ends_the_one_that_it_gave_before(db, tmp_path):
    earlier, later = "an-earlier-admin-key", "a-later-admin-key-é"
    first.ensure(db, Settings(admin_api_key=earlier, data_dir=tmp_path))
    first.ensure(db, Settings(admin_api_key=later, data_dir=tmp_path))
    assert (valid(db, earlier), valid(db, later)) == (False, True)
    first.ensure(db, Settings(admin_api_key=earlier, data_dir=tmp_path))
    assert (valid(db, earlier), valid(db, later)) == (True, False)
    assert not (tmp_path / "admin.key").exists()


def test_production_refuses_an_admin_key_that_can_be_guessed(db, tmp_path):
    with pytest.raises(first.BadAdminKey):
        first.ensure(db, Settings(app_env="production", admin_api_key="admin", data_dir=tmp_path))


def test_a_demo_agent_that_was_deleted_stays_deleted(db, tmp_path):
    settings = Settings(data_dir=tmp_path)
    first.ensure(db, settings)
    db.agents.delete_one({"_id": "demo"})
    first.ensure(db, settings)
    assert db.agents.count_documents({}) == 0


def test_a_workspaces_id_is_taken_once(db):
    workspaces.make(db, "One", "one")
    with pytest.raises(Conflict):
        workspaces.make(db, "Another", "one")
    workspaces.make(db, "Two")
    items, cursor = workspaces.page(db, limit=1, cursor=None)
    assert [w["name"] for w in items] == ["Two"]
    assert [w["name"] for w in workspaces.page(db, limit=1, cursor=cursor)[0]] == ["One"]


def test_of_two_that_rotate_a_key_at_once_the_loser_leaves_no_key(db):
    key, _ = make(db)
    _, text = keys.rotate(db, key, grace=timedelta(), created_by="test")
    with pytest.raises(Conflict):
        keys.rotate(db, key, grace=timedelta(), created_by="test")  # it was read before
    assert [found["_id"] for found in db["keys"].find() if keys.alive(found, utcnow())] == [keys._id(text)]


def test_rotating_a_key_does_not_make_it_live_longer(db):
    key, _ = make(db, expires_at=utcnow() + timedelta(hours=1))
    new, _ = keys.rotate(db, key, grace=timedelta(), created_by="test")
    assert new["expires_at"] == key["expires_at"]


def test_a_rotation_that_was_overtaken_leaves_no_key_that_nobody_was_given(db, meanwhile):
    agent = {"_id": "a1", "workspace_id": "w1", "name": "scout"}
    texts = []

    def rotate():
        texts.append(keys.rotate_for_agent(db, agent, grace=timedelta(), created_by="test")[1])

    meanwhile.before("insert", "keys", rotate)
    with pytest.raises(Conflict):
        keys.rotate_for_agent(meanwhile.db, agent, grace=timedelta(), created_by="test")
    living = [key["_id"] for key in keys.of_agent(db, agent) if keys.alive(key, utcnow())]
    assert living == [keys._id(text) for text in texts]


def test_a_neighbours_key_is_not_told_by_its_id(db):
    mine, theirs = (make(db, workspace_id=name)[0]["_id"] for name in ("w1", "w2"))
    assert [key["_id"] for key in keys.of_ids(db, "w1", [mine, theirs])] == [mine]
