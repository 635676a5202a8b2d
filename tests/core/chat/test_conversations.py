"""Conversations: their turns in order, each once, and gone with the content of their jobs."""

import dataclasses
from datetime import timedelta

import pytest

from core.chat import conversations
from core.clock import utcnow
from core.jobs import control
from core.jobs.claim import claim, finish, hand_back
from core.retention import Purge
from core.store import pages
from core.store.free_json import MANY
from tests.factory import CALL, asking, queued

WINDOW = 100_000


def asked(db, text, name="c1", agent="a1"):
    messages = [{"role": "user", "content": text}]
    return queued(db, agent_id=agent, request={"messages": messages, "conversation_id": name})


def begun(db, job, window=WINDOW):
    """A worker's claim, what it would send, and how many turns were dropped."""
    mine = claim(db, job["_id"], "p1")
    request = asking(job["request"]["messages"], max_tokens=10)
    told, dropped = conversations.recall(db, mine, request, window)
    return mine, [message["content"] for message in told.messages], dropped


def answered(db, mine, status="succeeded"):
    message = {"role": "assistant", "content": f"answer to {mine['request']['messages'][0]['content']}"}
    result = {"message": message} if status == "succeeded" else None
    assert finish(db, mine, status=status, calls=[CALL], result=result)


def chat(db, text, **more):
    mine, sent, _ = begun(db, asked(db, text, **more))
    answered(db, mine)
    return sent


def test_each_chat_is_told_what_was_said_before(db):
    assert chat(db, "one") == ["one"]
    assert chat(db, "two") == ["one", "answer to one", "two"]
    assert chat(db, "three") == ["one", "answer to one", "two", "answer to two", "three"]


def test_what_was_said_first_is_found_among_many_messages(db):
    messages = [*[{"role": "user", "content": "before"}] * MANY, {"role": "user", "content": "now"}]
    mine = claim(db, queued(db, request={"messages": messages, "conversation_id": "c1"})["_id"], "p1")
    conversations.recall(db, mine, asking(messages, max_tokens=10), WINDOW)
    answered(db, mine)
    assert conversations.first_said(db, conversations.get(db, {"_id": "a1"}, "c1")) == "now"


def test_a_page_of_turns_and_the_last_jobs_are_no_larger_than_a_page(db):
    for n in range(5):
        chat(db, f"{n}" * (pages.MOST_BYTES // 5), name="large")
    conversation = conversations.get(db, {"_id": "a1"}, "large")
    last = conversations.jobs(db, conversation, limit=30)
    assert [job["request"]["messages"][0]["content"][0] for job in last] == ["3", "4"]
    found, cursor, first = [], None, True
    while first or cursor:
        first = False
        turns, cursor = conversations.turns_page(db, conversation, limit=30, cursor=cursor)
        found.append([job["request"]["messages"][0]["content"][0] for job in turns])
    assert found == [["4", "3"], ["2", "1"], ["0"]]


def test_conversations_and_agents_do_not_hear_each_other(db):
    chat(db, "one")
    assert chat(db, "two", name="c2") == ["two"]
    assert chat(db, "three", agent="a2") == ["three"]


def test_chats_at_the_same_time_do_not_see_each_other_and_keep_their_order(db):
    first, second = asked(db, "first"), asked(db, "second")
    late, _, _ = begun(db, second)
    early, sent, _ = begun(db, first)
    assert sent == ["first"]
    answered(db, late)
    answered(db, early)
    assert chat(db, "third") == ["first", "answer to first", "second", "answer to second", "third"]


def test_a_chat_that_is_run_again_sees_the_same_and_is_one_turn(db):
    chat(db, "one")
    job = asked(db, "two")
    mine, before, _ = begun(db, job)
    assert hand_back(db, mine, [])
    chat(db, "three")
    mine, again, _ = begun(db, job)
    assert again == before
    answered(db, mine)
    assert chat(db, "four")[:4] == ["one", "answer to one", "two", "answer to two"]
    assert db.conversation_turns.count_documents({}) == 4


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_a_chat_that_did_not_succeed_is_no_turn(db, status):
    mine, _, _ = begun(db, asked(db, "one"))
    answered(db, mine, status)
    assert chat(db, "two") == ["two"]
    assert db.conversation_turns.count_documents({}) == 1


def test_what_no_longer_fits_is_dropped_and_counted_read_or_not(db):
    for n in range(10):
        chat(db, f"{n} " + "x" * 400)
    _, sent, dropped = begun(db, asked(db, "now"), window=700)
    assert 0 < dropped < 10
    assert len(sent) == 2 * (10 - dropped) + 1
    assert sent[0].startswith(f"{dropped} ")


def test_a_turn_goes_with_the_content_of_its_job(db, redis_client):
    chat(db, "one")
    chat(db, "two")
    (first,) = db.jobs.find({"request.messages.content": "one"})
    control.erase_content(db, redis_client, first)
    assert chat(db, "three") == ["two", "answer to two", "three"]


def test_a_conversation_ends_with_its_last_turn(db, redis_client, settings):
    chat(db, "one")
    db.workspaces.insert_one({"_id": "w1"})
    old = {"finished_at": utcnow() - timedelta(days=8), "created_at": utcnow() - timedelta(days=8)}
    db.jobs.update_many({}, {"$set": old, "$unset": {"meter": ""}})
    Purge(db, redis_client, settings).tick()
    assert db.conversations.count_documents({}) == db.conversation_turns.count_documents({}) == 0
    assert "answer to one" not in str(list(db.jobs.find()))


def test_deleting_erases_what_was_said_and_the_next_chat_begins_anew(db, redis_client):
    chat(db, "one")
    running, _, _ = begun(db, asked(db, "two"))
    conversations.delete(db, redis_client, db.conversations.find_one())
    answered(db, running)
    assert chat(db, "three") == ["three"]
    assert "answer to one" not in str(list(db.jobs.find()))


def test_the_agents_own_prompt_and_tools_take_their_room(db):
    for n in range(5):
        chat(db, f"{n} " + "x" * 400)
    job = asked(db, "now")
    mine = claim(db, job["_id"], "p1")
    request = asking(job["request"]["messages"], max_tokens=10)
    plain = conversations.recall(db, mine, request, 1000)[1]
    prompted = dataclasses.replace(request, system_prompt="y" * 2000)
    assert conversations.recall(db, mine, prompted, 1000)[1] > plain


def test_an_answer_without_a_limit_is_left_a_quarter_of_a_small_window(db):
    for n in range(5):
        chat(db, f"{n} " + "x" * 400)
    job = asked(db, "now")
    mine = claim(db, job["_id"], "p1")

    def dropped(window, **parameters):
        return conversations.recall(db, mine, asking(job["request"]["messages"], **parameters), window)[1]

    assert dropped(1000, max_tokens=10) < dropped(1000, max_tokens=250) == dropped(1000)
    assert dropped(WINDOW) == 0
