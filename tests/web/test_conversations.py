"""GET and DELETE /agents/{id}/conversations, and the `conversation_id` of a chat."""

import pytest

from core.chat import conversations
from core.jobs.claim import claim, finish
from core.llm.types import ChatRequest
from tests.web.conftest import ANSWER


@pytest.fixture
def chat(member, agent, services):
    """A chat of a conversation, carried out as a worker would."""

    def ask(text, name="c1"):
        body = {"message": text, "conversation_id": name}
        answer = member.post(f"/agents/{agent}/chat", body)
        assert answer.status_code == 202, answer.text
        job = claim(services.db, answer.json["id"], "p1")
        conversations.recall(services.db, job, ChatRequest(messages=job["request"]["messages"]), 10_000)
        said = {"role": "assistant", "content": f"answer to {text}", "tool_calls": None}
        result = {**ANSWER, "message": said}
        assert finish(services.db, job, status="succeeded", calls=[], result=result)
        return job["_id"]

    return ask


@pytest.fixture
def base(agent):
    return f"/agents/{agent}/conversations"


def names(client, base):
    return [item["id"] for item in client.get(base).json["items"]]


def test_conversations_are_listed_and_read_newest_first(member, base, chat, agent):
    first, second = chat("one"), chat("two")
    chat("elsewhere", "c2")
    assert names(member, base) == ["c2", "c1"]
    turns = member.get(f"{base}/c1").json
    assert [turn["job_id"] for turn in turns["items"]] == [second, first]
    assert [m["content"] for m in turns["items"][1]["messages"]] == ["one", "answer to one"]
    assert turns["next_cursor"] is None


def test_turns_come_in_pages(member, base, chat):
    ids = [chat(str(n)) for n in range(5)]
    page = member.get(f"{base}/c1?limit=3").json
    rest = member.get(f"{base}/c1?limit=3&cursor={page['next_cursor']}").json
    assert [turn["job_id"] for turn in page["items"] + rest["items"]] == ids[::-1]


def test_a_conversation_is_deleted_with_what_was_said(member, base, chat, services):
    job_id = chat("one")
    chat("two", "c2")
    assert member.delete(f"{base}/c1").status_code == 204
    assert names(member, base) == ["c2"]
    assert member.get(f"{base}/c1").status_code == 404
    assert member.delete(f"{base}/c1").status_code == 404
    assert member.get(f"/jobs/{job_id}").json["result"]["message"] is None


def test_all_are_deleted_at_once_and_with_their_agent(member, base, chat, agent, services):
    chat("one")
    chat("two", "c2")
    assert member.delete(base).status_code == 204
    assert names(member, base) == []
    chat("three")
    assert member.delete(f"/agents/{agent}").status_code == 204
    assert services.db.conversations.count_documents({}) == 0
    assert "answer to three" not in str(list(services.db.jobs.find()))


def test_an_agent_that_keeps_nothing_has_no_conversations(member, agent):
    member.patch(f"/agents/{agent}", {"content_retention": "none"})
    refused = member.post(f"/agents/{agent}/chat", {"message": "hi", "conversation_id": "c1"})
    assert refused.status_code == 422
    assert refused.json["errors"][0]["pointer"] == "/conversation_id"


@pytest.mark.parametrize("name", ["", "a/b", "..", "a b", "x" * 101, 7])
def test_a_name_that_could_not_stand_in_an_address_is_refused(member, agent, name):
    refused = member.post(f"/agents/{agent}/chat", {"message": "hi", "conversation_id": name})
    assert refused.status_code == 422


def test_a_viewer_reads_and_deletes_nothing(client_for, base, chat):
    chat("one")
    viewer = client_for("viewer")
    assert names(viewer, base) == ["c1"]
    assert viewer.delete(f"{base}/c1").status_code == 403
