"""/healthz, /readyz, and what happens while a store is away."""

from __future__ import annotations

import pytest
from pymongo.errors import AutoReconnect, BulkWriteError, OperationFailure, WriteError

from core import key_proof
from core.config import Settings
from core.crypto import Sealer
from core.services import connect_mongo, connect_redis
from core.store import pages, sizes
from web import sessions
from web.app import create_app
from web.main import _prove_key

NOWHERE = 1  # a port that nothing listens on


def test_alive_and_ready(app):
    assert app.test_client().get("/healthz").json == {"status": "ok"}
    ready = app.test_client().get("/readyz")
    checks = {"mongodb": "ok", "redis": "ok", "encryption_key": "ok"}
    assert (ready.status_code, ready.json["checks"]) == (200, checks)


@pytest.fixture
def with_another_key(services, app):
    assert app.test_client().get("/readyz").status_code == 200
    services.sealer = Sealer(b"another key, of 32 bytes, indeed")


@pytest.mark.usefixtures("with_another_key")
def test_with_another_encryption_key_it_is_not_ready_and_says_so(app):
    refused = app.test_client().get("/readyz")
    assert (refused.status_code, refused.json["checks"]["encryption_key"]) == (503, "another key")
    assert "encryption_key" in refused.json["detail"]


@pytest.mark.usefixtures("with_another_key")
def test_in_production_it_does_not_start_with_another_key(services, capsys):
    _prove_key(services)
    services.settings = services.settings.model_copy(update={"app_env": "production"})
    with pytest.raises(SystemExit):
        _prove_key(services)
    assert "LLM_ENCRYPTION_KEYS_OLD" in capsys.readouterr().err


def test_a_store_that_answers_and_refuses_is_not_ready(app, services, monkeypatch):
    def refused(*_):
        raise OperationFailure("WT_PANIC", 8)

    monkeypatch.setattr(key_proof, "check", refused)
    answer = app.test_client().get("/readyz")
    assert (answer.status_code, answer.json["checks"]["mongodb"]) == (503, "OperationFailure")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (OperationFailure("over your space quota", 8000), 503),
        (WriteError("no", 121), 500),
        (BulkWriteError({}), 500),
        (AutoReconnect("away"), 503),
    ],
)
def test_a_store_that_refuses_is_told_as_one_that_is_away(app, admin, monkeypatch, error, status):
    def refused(*_, **__):
        raise error

    monkeypatch.setattr(pages, "page", refused)
    answer = app.test_client().get("/api/v1/agents", headers=admin.headers)
    assert answer.status_code == status
    assert ("Retry-After" in answer.headers) == (status == 503)


@pytest.fixture
def without_redis(services, watcher, settings):
    gone = settings.model_copy(update={"redis_url": f"redis://127.0.0.1:{NOWHERE}/0"})
    services.redis = connect_redis(gone, timeout_s=0.3)
    yield create_app(services, watcher)
    services.redis.close()


@pytest.fixture
def without_mongodb(services, watcher, settings):
    gone = settings.model_copy(update={"mongodb_uri": f"mongodb://127.0.0.1:{NOWHERE}"})
    services.mongo = connect_mongo(gone, patience_s=0.2)
    services.settings = services.settings.model_copy(update={"store_answers_within_s": 0.2})
    yield create_app(services, watcher)
    services.mongo.close()


def test_without_redis_it_is_alive_and_not_ready(without_redis):
    assert without_redis.test_client().get("/healthz").status_code == 200
    answer = without_redis.test_client().get("/readyz")
    assert answer.status_code == 503
    assert answer.content_type == "application/problem+json"
    assert answer.json["checks"] == {"mongodb": "ok", "redis": "ConnectionError", "encryption_key": "ok"}


def test_without_mongodb_requests_get_a_503_problem(without_mongodb):
    client = without_mongodb.test_client()
    assert client.get("/readyz").json["checks"]["mongodb"] == "ServerSelectionTimeoutError"
    for method, path in (("GET", "/api/v1/agents"), ("POST", "/api/v1/agents/demo/chat")):
        refused = client.open(path, method=method, json={"message": "a"}, headers={"X-API-Key": "vtl_x"})
        assert refused.status_code == 503
        assert refused.content_type == "application/problem+json"
        assert refused.headers["Retry-After"] == "1"
        assert "127.0.0.1" not in refused.text


def test_without_mongodb_a_page_that_was_looked_for_can_be_tried_again(without_mongodb):
    client = without_mongodb.test_client()
    client.set_cookie(sessions.COOKIE, "of-before")
    looked = client.get("/jobs", headers={"Accept": "text/html"})
    assert looked.status_code == 503
    assert '<a class="button primary" href="">Try again</a>' in looked.text
    sent = client.post("/jobs/bulk", headers={"Accept": "text/html"})
    assert sent.status_code == 503
    assert "Try again</a>" not in sent.text


def test_what_will_soon_be_too_much_for_the_embedded_store_is_a_warning(services, watcher, app):
    full = {"finished_jobs": 16_500, "documents": {"jobs": 17_000, "token_usage": 41_000}}
    services.db.scheduler.insert_one({"_id": sizes.NOTE, **full})
    ready = app.test_client().get("/readyz")
    assert (ready.status_code, ready.json["warnings"]) == (200, [])  # a MongoDB of one's own
    embedded = Settings(port=services.settings.port, data_dir=services.settings.data_dir)
    services.settings = embedded.model_copy(update={"mongodb_database": services.settings.mongodb_database})
    ready = create_app(services, watcher).test_client().get("/readyz")
    assert ready.status_code == 200
    assert [text.split(";")[0] for text in ready.json["warnings"]] == [
        "about 16500 finished jobs",
        "41000 documents in token_usage",
    ]
