"""Accepting: kept once, whatever is sent twice, lost or away."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from bson.binary import Binary
from bson.codec_options import CodecOptions
from pymongo.errors import DuplicateKeyError

from core.clock import utcnow
from core.errors import Conflict, IdempotencyMismatch
from core.ids import new_id
from core.jobs.accept import accept
from core.store import indexes
from core.store.free_json import MANY
from tests.conftest import patient
from tests.factory import Sent, draft, mark
from tests.proxy import Proxy


def test_it_keeps_the_job_and_sends_its_id(db):
    sent = Sent()
    job, created = accept(db, sent, draft())
    assert created
    assert db.jobs.find_one({"_id": job["_id"]})["status"] == "queued"
    assert sent.ids == [("chat", job["_id"])]


def test_a_job_has_the_id_under_which_something_was_stored_before(db):
    job_id = new_id()
    job, _ = accept(db, Sent(), draft(), job_id=job_id)
    assert db.jobs.find_one()["_id"] == job["_id"] == job_id


def test_what_holds_many_values_is_text_to_the_store_and_the_same_to_its_reader(db):
    asked = {"messages": [{"role": "user", "content": "a"}], "tools": [{str(n): n for n in range(MANY)}] * 2}
    job, _ = accept(db, Sent(), draft(request=asked))
    assert db.jobs.find_one({"_id": job["_id"]})["request"] == job["request"] == asked
    as_stored = db.client.get_database(db.name, codec_options=CodecOptions()).jobs.find_one()["request"]
    assert [type(value) for value in as_stored.values()] == [list, Binary]


def test_it_accepts_while_redis_is_away(db):
    sent = Sent()
    sent.away = True
    job, created = accept(db, sent, draft())
    assert created
    assert db.jobs.find_one({"_id": job["_id"]})["status"] == "queued"


def test_the_same_key_fifty_times_at_once_makes_one_job(db):
    sent = Sent()
    with ThreadPoolExecutor(50) as pool:
        made = list(pool.map(lambda _: accept(db, sent, draft(idempotency=mark())), range(50)))
    assert len({job["_id"] for job, _ in made}) == 1
    assert sum(created for _, created in made) == 1
    assert db.jobs.count_documents({}) == 1
    assert len(sent.ids) == 1


def test_the_same_key_with_another_body_is_refused_and_makes_nothing(db):
    accept(db, Sent(), draft(idempotency=mark()))
    with pytest.raises(IdempotencyMismatch):
        accept(db, Sent(), draft(idempotency=mark(body="other")))
    assert db.jobs.count_documents({}) == 1


def test_a_key_is_forgotten_after_a_day(db):
    first, _ = accept(db, Sent(), draft(idempotency=mark()))
    db.jobs.update_one({"_id": first["_id"]}, {"$set": {"created_at": utcnow() - timedelta(hours=25)}})
    second, created = accept(db, Sent(), draft(idempotency=mark(body="other")))
    assert created
    assert second["_id"] != first["_id"]


def test_keys_of_two_workspaces_do_not_meet(db):
    accept(db, Sent(), draft(idempotency=mark()))
    _, created = accept(db, Sent(), draft(idempotency=mark(), workspace_id="w2"))
    assert created


@pytest.mark.parametrize(
    "others",
    [
        {"workspace_id": "w2", "idempotency": mark()},
        {"idempotency": mark(route="chat/a2")},
        {"idempotency": mark(key="key-2")},
    ],
)
def test_a_repeated_key_gives_its_own_job_of_its_workspace_and_route(db, others):
    first, _ = accept(db, Sent(), draft(idempotency=mark()))
    second, _ = accept(db, Sent(), draft(**others))
    assert accept(db, Sent(), draft(idempotency=mark())) == (first, False)
    again, created = accept(db, Sent(), draft(**others))
    assert (again["_id"], created) == (second["_id"], False)


def test_what_could_not_be_stored_is_not_accepted(db):
    def taken(_):
        raise DuplicateKeyError("another holds the key, and lets it go before it is read")

    sent = Sent()
    with pytest.raises(Conflict):
        accept(db, sent, draft(idempotency=mark()), insert=taken)
    assert sent.ids == []


def test_an_insert_whose_reply_was_lost_is_one_job_and_is_sent(db, settings):
    proxy = Proxy(settings.mongodb_uri)
    through = settings.model_copy(update={"mongodb_uri": proxy.uri})
    client = patient(through)
    try:
        behind = client[db.name]
        indexes.ensure(behind)
        proxy.lose_reply_to(b"key-1")
        sent = Sent()
        job, created = accept(behind, sent, draft(idempotency=mark()))
        assert proxy.lost == 1
        assert created
        assert db.jobs.count_documents({}) == 1
        assert sent.ids == [("chat", job["_id"])]
    finally:
        client.close()
        proxy.close()
