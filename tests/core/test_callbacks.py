"""Callbacks: each event arrives at least once, signed, however the receiver behaves."""

import json
import threading
from datetime import timedelta

import pytest
import requests
from bson.binary import USER_DEFINED_SUBTYPE, Binary
from standardwebhooks import Webhook

from core import signing
from core.callbacks import AT_ONCE, TRIES_LOGGED, WHOLE_S, Courier, outbox
from core.clock import rfc3339, utcnow
from core.crypto import Sealer
from core.deliveries import born, redeliver
from core.errors import NotFound
from core.jobs.claim import claim, finish
from core.outbound import names
from tests.factory import queued
from tests.waiting import LONG_S, until


class Receiver:
    """Answers with what the test says next (a status, or an exception), and keeps what it received."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.received = []

    def __call__(self, url, headers, body):
        self.received.append((url, headers, body))
        answer = self.answers.pop(0) if self.answers else 200
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def sealer():
    return Sealer(b"k" * 32)


@pytest.fixture
def delivery(db):
    db.workspaces.insert_one({"_id": "w1", "webhook_secret": None})
    job = claim(db, queued(db, callback_url="https://example.com/hook")["_id"], "p1")
    finish(db, job, status="succeeded", calls=[], result={"answer": 42})
    outbox(db, [db.jobs.find_one({"_id": job["_id"]})])
    return lambda: db.deliveries.find_one({"job_id": job["_id"]})


def test_the_end_of_a_job_leaves_its_mark_in_the_same_write(db):
    job = claim(db, queued(db, callback_url="https://example.com/hook")["_id"], "p1")
    finish(db, job, status="succeeded", calls=[], result={})
    assert db.jobs.find_one({"_id": job["_id"]})["meter"] == "due"


def test_the_reference_library_verifies_the_signature(db, sealer, delivery):
    receiver = Receiver(200)
    Courier(db, sealer, receiver).deliver(delivery())
    ((url, headers, body),) = receiver.received
    assert url == "https://example.com/hook"
    event = Webhook(signing.secret(db, sealer, "w1")).verify(body, headers)
    assert event["type"] == "job.succeeded"
    assert event["data"]["result"] == {"answer": 42}
    assert delivery()["state"] == "delivered"


def test_the_secret_is_made_once_and_kept_sealed(db, sealer, delivery):
    secret = signing.secret(db, sealer, "w1")
    assert signing.secret(db, sealer, "w1") == secret
    assert secret.removeprefix("whsec_") not in json.dumps(db.workspaces.find_one({"_id": "w1"}))


@pytest.mark.parametrize("answer", [500, 301, 404, requests.ConnectionError(), requests.Timeout()])
def test_what_was_not_taken_is_tried_again_under_the_same_id(db, sealer, delivery, answer):
    receiver = Receiver(answer, 200)
    courier = Courier(db, sealer, receiver)
    courier.deliver(delivery())
    waiting = delivery()
    assert waiting["state"] == "due"
    assert waiting["next_at"] > waiting["tries"][-1]["at"]
    courier.deliver(waiting)
    assert delivery()["state"] == "delivered"
    assert len({headers["webhook-id"] for _, headers, _ in receiver.received}) == 1
    assert len({body for _, _, body in receiver.received}) == 1
    assert len(delivery()["tries"]) == 2


def test_it_says_when_the_event_was_and_not_when_it_was_sent(db, sealer, delivery):
    ended = utcnow() - timedelta(hours=3)
    db.jobs.update_one({"_id": delivery()["job_id"]}, {"$set": {"finished_at": ended}})
    receiver = Receiver(200)
    Courier(db, sealer, receiver).deliver(delivery())
    assert json.loads(receiver.received[0][2])["timestamp"] == rfc3339(ended)


def test_what_was_taken_meanwhile_is_not_sent_again(db, sealer, delivery):
    """Two schedulers, for a moment: the slower one's failure does not make it due once more."""
    found = delivery()

    def fails_after_another_was_heard(url, headers, body):
        Courier(db, sealer, Receiver(200)).deliver(found)
        return 500

    Courier(db, sealer, fails_after_another_was_heard).deliver(found)
    assert delivery()["state"] == "delivered"


def test_it_backs_off_further_and_further(db, sealer, delivery):
    courier = Courier(db, sealer, Receiver(*[500] * 4))
    pauses = []
    for _ in range(4):
        courier.deliver(delivery())
        tried = delivery()
        pauses.append((tried["next_at"] - tried["tries"][-1]["at"]).total_seconds())
    assert pauses == [5, 30, 120, 600]


def test_it_gives_up_after_a_day_and_says_so(db, sealer, delivery):
    db.deliveries.update_one({}, {"$set": {"created_at": utcnow() - timedelta(hours=25)}})
    Courier(db, sealer, Receiver(500)).deliver(delivery())
    assert (delivery()["state"], delivery()["reason"]) == ("failed", "not taken within a day")


def test_a_receiver_that_is_gone_is_left_alone(db, sealer, delivery):
    Courier(db, sealer, Receiver(410)).deliver(delivery())
    assert delivery()["state"] == "failed"


def test_entering_the_outbox_twice_is_one_delivery(db, delivery):
    job = db.jobs.find_one({"_id": delivery()["job_id"]})
    outbox(db, [job, job])
    assert db.deliveries.count_documents({}) == 1


def due(db, *hosts, whose="w1", since_s=0):
    """A delivery to each of these hosts, the oldest first."""
    db.workspaces.update_one({"_id": whose}, {"$set": {"webhook_secret": None}}, upsert=True)
    now = utcnow() - timedelta(seconds=since_s)
    made = []
    for n, host in enumerate(hosts):
        name, url = f"{whose}-{n}-{since_s}", f"https://{host}/"
        delivery = born(name, workspace_id=whose, job_id="j", event="job.failed", url=url, now=now)
        made.append({**delivery, "next_at": now - timedelta(milliseconds=len(hosts) - n), "payload": {}})
    db.deliveries.insert_many(made)


class Stuck:
    """A receiver that answers when it is let go."""

    def __init__(self):
        self.release, self.asked = threading.Event(), []

    def __call__(self, url, headers, body):
        self.asked.append(url)
        self.release.wait(LONG_S)
        return 200


@pytest.fixture
def stuck(db, sealer):
    """(courier, receiver); whatever is under way has ended when the test has."""
    receiver = Stuck()
    courier = Courier(db, sealer, receiver)
    yield courier, receiver
    receiver.release.set()
    courier.close()


def test_a_slow_receiver_takes_few_of_the_places(db, stuck):
    courier, receiver = stuck
    due(db, *["slow.example"] * 20, *["quick.example"] * 3)
    assert courier.tick() == {"started": 7}
    assert courier.tick() == {"started": 0}
    receiver.release.set()
    courier.close()
    assert sorted(receiver.asked) == ["https://quick.example/"] * 3 + ["https://slow.example/"] * 4


def test_however_much_waits_for_a_slow_receiver_others_are_told(db, stuck):
    courier, receiver = stuck
    due(db, *["slow.example"] * 500, "quick.example")
    assert courier.tick() == {"started": 5}
    receiver.release.set()
    courier.close()
    assert receiver.asked.count("https://quick.example/") == 1


def test_another_workspaces_callback_is_sent_at_once_whatever_hangs(db, stuck):
    courier, receiver = stuck
    due(db, *[f"slow{n % 10}.example" for n in range(300)], whose="greedy")
    assert courier.tick()["started"] < AT_ONCE
    assert courier.tick() == {"started": 0}
    due(db, "slow0.example", "quick.example", whose="w2")
    assert courier.tick() == {"started": 2}
    receiver.release.set()
    courier.close()
    assert receiver.asked.count("https://quick.example/") == 1


def test_what_was_due_before_the_last_look_is_found_a_while_later(db, sealer):
    """Such as what was written under a clock that was behind."""
    now, receiver = [0.0], Receiver()
    courier = Courier(db, sealer, receiver, monotonic=lambda: now[0])
    courier.tick()
    due(db, "late.example", since_s=600)
    assert courier.tick() == {"started": 0}
    now[0] += WHOLE_S
    assert courier.tick() == {"started": 1}
    courier.close()


def test_what_another_scheduler_delivered_meanwhile_is_not_sent_again(db, stuck):
    courier, receiver = stuck
    due(db, *["a.example"] * 5)
    courier.tick()
    db.deliveries.update_one({"_id": "w1-4-0"}, {"$set": {"state": "delivered"}})
    receiver.release.set()
    until(lambda: db.deliveries.count_documents({"state": "due"}) == 0, "those under way are delivered")
    due(db, "b.example", whose="w2")
    assert courier.tick() == {"started": 2}
    until(lambda: db.deliveries.count_documents({"state": "due"}) == 0, "the other one is delivered")
    courier.close()
    assert receiver.asked.count("https://a.example/") == 4


def test_a_delivery_that_cannot_be_handled_waits_and_the_others_go_out(db, sealer, delivery):
    bad = {**delivery(), "_id": "bad", "job_id": None, "payload": {}, "workspace_id": "none"}
    db.deliveries.insert_one(bad)
    courier = Courier(db, sealer, Receiver())
    courier.tick()
    courier.close()
    kept = db.deliveries.find_one({"_id": "bad"})
    assert (kept["state"], [tried["error"] for tried in kept["tries"]]) == ("due", ["LookupError"])
    assert kept["next_at"] > bad["next_at"]
    assert delivery()["state"] == "delivered"


def test_a_delivery_that_cannot_even_be_read_waits_and_the_others_go_out(db, sealer, delivery):
    unreadable = {"payload": Binary(b"no JSON", USER_DEFINED_SUBTYPE)}
    bad = {**delivery(), "_id": "bad", "created_at": utcnow(), **unreadable}
    db.deliveries.insert_one(bad)
    courier = Courier(db, sealer, Receiver())
    courier.tick()
    courier.close()
    kept = db.deliveries.find_one({"_id": "bad"}, {"payload": 0})
    assert (kept["state"], [tried["error"] for tried in kept["tries"]]) == ("due", ["InvalidBSON"])
    assert kept["next_at"] > bad["next_at"]
    assert delivery()["state"] == "delivered"


def test_a_delivery_of_a_time_to_come_is_brought_back(db, sealer, delivery):
    db.deliveries.update_one({}, {"$set": {"next_at": utcnow() + timedelta(days=2)}})
    receiver = Receiver(200)
    courier = Courier(db, sealer, receiver)
    courier.tick()
    until(lambda: delivery()["state"] == "delivered", "it is delivered")
    courier.close()


def test_what_another_scheduler_tried_in_vain_meanwhile_waits_for_its_time(db, stuck):
    courier, receiver = stuck
    due(db, *["a.example"] * 5)
    courier.tick()
    db.deliveries.update_one({"_id": "w1-4-0"}, {"$set": {"next_at": utcnow() + timedelta(minutes=1)}})
    receiver.release.set()
    until(lambda: db.deliveries.count_documents({"state": "due"}) == 1, "those under way are delivered")
    due(db, "b.example", whose="w2")
    assert courier.tick() == {"started": 2}
    until(lambda: "https://b.example/" in receiver.asked, "the other one is delivered")
    courier.close()
    assert receiver.asked.count("https://a.example/") == 4


def test_of_many_tries_the_last_are_kept(db, sealer, delivery):
    statuses = list(range(500, 500 + TRIES_LOGGED + 2))
    courier = Courier(db, sealer, Receiver(*statuses))
    for _ in statuses:
        courier.deliver(delivery())
    assert [tried["status"] for tried in delivery()["tries"]] == statuses[2:]


def test_the_name_of_a_receiver_counts_as_its_workspaces(db, sealer, delivery):
    asked = []
    Courier(db, sealer, lambda *_: asked.append(names.whose()) or 200).deliver(delivery())
    assert asked == ["w1"]


def test_nobody_sends_a_neighbours_callback_again(db, delivery):
    with pytest.raises(NotFound):
        redeliver(db, "w2", delivery()["_id"])
