"""A chat on an agent's page: what it asks, what it shows, who may see it."""

from __future__ import annotations

import re

import pytest

from core.chat import conversations
from core.jobs.claim import claim, finish
from core.llm.types import ChatRequest
from tests.web.conftest import ANSWER, stored

SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def say(browser, agent, services):
    """The job that a message makes: `say("Hello.", conversation="c1")`."""

    def ask(text, **more):
        answer = browser.submit(
            f"/agents/{agent}/chat", {"message": text, **more}, headers={"HX-Request": "true"}
        )
        assert answer.status_code == 200, answer.text
        assert answer.headers["HX-Retarget"] == "#talk"
        return services.db.jobs.find_one({"_id": re.search(r'id="turn-([\w-]+)"', answer.text)[1]})

    return ask


def done(services, job, text="Hello.", **more):
    taken = claim(services.db, job["_id"], "p1")
    if "conversation_id" in job["request"]:
        asked = ChatRequest(messages=job["request"]["messages"])
        conversations.recall(services.db, taken, asked, window=10_000)
    result = {**ANSWER, "message": {"role": "assistant", "content": text, **more}, "cost": 0.0042}
    finish(services.db, taken, status="succeeded", calls=[], result=result)


def test_a_message_is_a_chat_of_its_conversation_that_streams(say):
    job = say("Hello.", conversation="c1")
    assert (job["kind"], job["request"]) == (
        "chat",
        {"messages": [{"role": "user", "content": "Hello."}], "stream": True, "conversation_id": "c1"},
    )


def test_an_answer_is_followed_until_it_is_there_with_its_cost(browser, agent, say, services):
    job = say("Hello.", conversation="c1")
    turn = f"/agents/{agent}/turns/{job['_id']}"
    waiting = browser.page(turn)
    assert f'data-follow="/jobs/{job["_id"]}/stream"' in waiting
    assert "Stop" in waiting
    done(services, job, "Good day.")
    there = browser.page(turn)
    assert "data-follow" not in there
    assert "Good day." in there
    assert "$0.0042" in there


def test_the_address_leads_back_to_the_conversation_and_to_its_last_job(browser, agent, say, services):
    first = say("First.", conversation="c1")
    done(services, first)
    second = say("Second.", conversation="c1")
    done(services, say("Elsewhere.", conversation="c2"))
    page = browser.page(f"/agents/{agent}?conversation=c1&job={second['_id']}")
    assert re.findall(r'id="turn-([\w-]+)"', page) == [first["_id"], second["_id"]]
    assert 'name="conversation" value="c1"' in page
    assert re.findall(r"conversation=(\w+)\"[^>]*><span>([^<]*)</span>", page) == [
        ("c2", "Elsewhere."),
        ("c1", "First."),
    ]


def test_without_javascript_the_answer_is_the_conversations_page(browser, agent):
    answer = browser.submit(f"/agents/{agent}/chat", {"message": "Hello.", "conversation": "c1"})
    assert answer.status_code == 303
    assert "Hello." in browser.page(answer.location)


def test_files_of_the_drive_go_with_a_message(browser, agent, say, services, app):
    file = stored(services, app, agent)
    assert f'name="file" value="{file}"' in browser.page(f"/agents/{agent}")
    job = say("What is this?", file=file)
    parts = job["request"]["messages"][0]["content"]
    assert [part["type"] for part in parts] == ["text", "file"]
    turn = browser.page(f"/agents/{agent}/turns/{job['_id']}")
    assert services.db.drive_files.find_one({"_id": file})["name"] in turn


def test_calls_of_tools_are_shown(browser, agent, say, services):
    job = say("Weather?")
    call = {"id": "1", "type": "function", "function": {"name": "weather", "arguments": '{"in": "Bonn"}'}}
    done(services, job, None, tool_calls=[call])
    assert "weather({&#34;in&#34;: &#34;Bonn&#34;})" in browser.page(f"/agents/{agent}/turns/{job['_id']}")


def test_what_was_said_is_never_markup(browser, agent, say, services):
    job = say(SCRIPT, conversation="c1")
    done(services, job, SCRIPT)
    page = browser.page(f"/agents/{agent}?conversation=c1")
    assert page.count("&lt;script&gt;alert(1)") == 3
    assert SCRIPT not in page


def test_stop_cancels_the_job(browser, agent, say, services):
    job = say("Hello.")
    assert browser.submit(f"/agents/{agent}/turns/{job['_id']}/stop").status_code == 303
    assert services.db.jobs.find_one({"_id": job["_id"]})["status"] == "cancelled"
    assert "Stopped." in browser.page(f"/agents/{agent}/turns/{job['_id']}")


def test_an_agent_that_keeps_nothing_remembers_nothing(browser, member, say, agent):
    member.patch(f"/agents/{agent}", {"content_retention": "none"})
    assert "conversation_id" not in say("Hello.", conversation="c1")["request"]
    assert "does not remember" in browser.page(f"/agents/{agent}")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"message": " "}, "needs some text"),
        ({"message": "a", "file": "nothing"}, "no such file"),
        ({"message": "a", "conversation": "/"}, "conversation_id"),
    ],
)
def test_what_cannot_be_asked_is_said_and_makes_no_job(browser, agent, services, fields, said):
    answer = browser.submit(f"/agents/{agent}/chat", fields, headers={"HX-Request": "true"})
    assert answer.status_code == 422
    assert said in answer.text
    assert services.db.jobs.count_documents({}) == 0


def test_another_agents_turn_is_not_there(browser, member, agent, say):
    job = say("Hello.")
    other = member.post("/agents", {"name": "other", "llm_config": {"provider": "sandbox"}}).json["id"]
    assert browser.get(f"/agents/{other}/turns/{job['_id']}").status_code == 404
    assert browser.get(f"/agents/{other}?job={job['_id']}").status_code == 404


def test_a_viewer_reads_and_has_nothing_to_press(browser_for, agent, say):
    job = say("Hello.", conversation="c1")
    page = browser_for("viewer").page(f"/agents/{agent}?job={job['_id']}")
    assert "Hello." in page
    assert f"/agents/{agent}/chat" not in page
    assert "/stop" not in page
