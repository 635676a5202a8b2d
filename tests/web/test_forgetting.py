"""What a web process remembers is never older than the last change: here, and in another process."""

from datetime import timedelta

import pytest
from pymongo.errors import AutoReconnect

from core.accounts import keys
from core.clock import utcnow
from core.jobs import signals
from core.jobs.watch import Watcher
from core.services import connect_redis
from tests.waiting import subscribed, until
from tests.web_client import Client
from web import auth
from web.app import create_app

HOUR = 3600


@pytest.fixture
def other(services, settings, redis_client, app):
    """An app like that of a second web process, over the same stores, that remembers for an hour."""
    listening = connect_redis(settings)
    watcher = Watcher(services.db, redis_client, listening)
    watcher.remembered.kept_s = HOUR
    watcher.start()
    subscribed(redis_client, signals.CONFIGURED)
    yield create_app(services, watcher)
    watcher.close()
    listening.close()


def test_a_revoked_key_is_refused_at_once_where_it_was_revoked(watcher, admin, app):
    watcher.remembered.kept_s = HOUR
    made = admin.post("/keys", {"role": "member"}).json
    using = Client(app, made["key"])
    assert using.get("/agents").status_code == 200
    assert admin.delete(f"/keys/{made['id']}").status_code == 204
    assert using.get("/agents").status_code == 401


def test_another_process_hears_of_it(admin, other):
    made = admin.post("/keys", {"role": "member"}).json
    using = Client(other, made["key"])
    assert using.get("/agents").status_code == 200
    admin.delete(f"/keys/{made['id']}")
    until(lambda: using.get("/agents").status_code == 401, "the other process refuses the key")


def test_an_expired_key_is_not_remembered_beyond_its_end(watcher, client_for, services, monkeypatch):
    watcher.remembered.kept_s = HOUR
    using = client_for("member", expires_at=utcnow() + timedelta(hours=1))
    assert using.get("/agents").status_code == 200
    monkeypatch.setattr(auth, "utcnow", lambda: utcnow() + timedelta(hours=2))
    assert using.get("/agents").status_code == 401


def test_a_chat_asks_the_agent_as_it_was_just_changed(watcher, member, agent, services):
    watcher.remembered.kept_s = HOUR
    for name in ("first", "second"):
        assert member.patch(f"/agents/{agent}", {"system_prompt": name}).status_code == 200
        job = member.post(f"/agents/{agent}/chat", {"message": "Hello"}).json
        kept = services.db.jobs.find_one({"_id": job["id"]})
        assert kept["plan"]["agent"]["system_prompt"] == name


def test_a_chat_makes_nobody_forget(watcher, member, agent):
    watcher.remembered.kept_s = HOUR
    member.post(f"/agents/{agent}/chat", {"message": "Hello"})
    watcher.remembered.get("mark", lambda: 1)
    member.post(f"/agents/{agent}/chat", {"message": "Hello"})
    assert watcher.remembered.get("mark", lambda: 2) == 1


def test_a_change_that_ends_in_an_error_is_known_all_the_same(watcher, admin, app, monkeypatch):
    def revoked(*given, revoke=keys.revoke):
        revoke(*given)
        raise AutoReconnect("after it was written")

    watcher.remembered.kept_s = HOUR
    made = admin.post("/keys", {"role": "member"}).json
    using = Client(app, made["key"])
    assert using.get("/agents").status_code == 200
    monkeypatch.setattr(keys, "revoke", revoked)
    assert admin.delete(f"/keys/{made['id']}").status_code == 503
    assert using.get("/agents").status_code == 401
