"""Agents as a person has them: made, configured, talked to word by word, stopped, started and stopped."""

from __future__ import annotations

import threading

import pytest
from playwright.sync_api import expect

from tests.providers.scripted import answering, head, provider, sse

WORDS = ("One", " two", " three.")


class Slow:
    """A provider that says a word whenever the test lets it."""

    def __init__(self):
        self.next = threading.Semaphore(0)

    def __call__(self, write):
        write(head(200, "text/event-stream", ("Connection", "close")))
        for word in WORDS:
            self.next.acquire()
            write(sse({"choices": [{"index": 0, "delta": {"content": word}}]}))
        self.next.acquire()
        usage = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
        write(sse({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": usage}))
        write(sse("[DONE]"))
        return False


@pytest.fixture
def slow():
    slow = Slow()
    with provider(slow) as running:
        slow.url = running.url
        yield slow
        for _ in range(20):  # an answer that nobody waits for any more may end
            slow.next.release()


def make_agent(page, name="writer"):
    page.goto("/agents")
    page.get_by_role("link", name="New agent").first.click()
    page.get_by_label("Name").fill(name)
    page.get_by_label("Provider", exact=True).select_option("sandbox")
    page.get_by_role("button", name="Make it").click()
    expect(page.get_by_role("heading", level=1, name=name)).to_be_visible()


def of_agent(page, name):
    """The link to this page of the agent; the navigation may have one of the same name."""
    return page.get_by_role("navigation", name="Pages of this agent").get_by_role("link", name=name)


def configure(page, url):
    of_agent(page, "Settings").click()
    page.get_by_label("Provider", exact=True).select_option("openai")
    page.get_by_label("Model", exact=True).fill("tiny")
    page.get_by_label("API key of the provider").fill("sk-of-a-test-0123456789")
    page.get_by_label("Address of its API").fill(url)
    page.get_by_role("button", name="Save").first.click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    expect(page.locator(".route li")).to_contain_text("tiny")


def say(page, text):
    page.get_by_role("link", name="Chat").click()
    page.get_by_label("Message").fill(text)
    page.get_by_label("Message").press("Enter")


def test_an_agent_is_made_and_answers_word_by_word(page_for, slow):
    page = page_for("member")
    make_agent(page)
    configure(page, slow.url)
    say(page, "Count.")
    answer = page.locator(".turn .answer")
    said = ""
    for word in WORDS:
        slow.next.release()
        said += word
        expect(answer.locator(".streamed")).to_have_text(said)
    slow.next.release()
    expect(answer.get_by_title("Tokens in and out")).to_have_text("9 → 3 tokens")
    expect(answer.get_by_title("What it cost")).to_be_visible()
    page.reload()
    expect(answer).to_contain_text("One two three.")
    answer.get_by_role("link", name="Job").click()
    expect(page.get_by_text("One two three.")).to_be_visible()
    expect(page.locator(".timeline")).to_contain_text("Succeeded")


def test_an_answer_is_stopped(page_for, slow):
    page = page_for("member")
    make_agent(page)
    configure(page, slow.url)
    say(page, "Count.")
    slow.next.release()
    expect(page.locator(".streamed")).to_have_text("One")
    page.get_by_role("button", name="Stop").click()
    slow.next.release()
    expect(page.get_by_text("Stopped.")).to_be_visible()


def test_a_running_job_is_found_watched_and_cancelled(page_for, slow):
    page = page_for("member")
    make_agent(page)
    configure(page, slow.url)
    say(page, "Count.")
    slow.next.release()
    expect(page.locator(".streamed")).to_have_text("One")
    page.goto("/jobs?status=running")
    page.get_by_role("row", name="writer").get_by_role("link", name="chat").click()
    expect(page.locator("#output")).to_have_text("One")
    page.get_by_text("Events", exact=True).click()
    expect(page.locator("#events-list li")).to_have_count(1)
    slow.next.release()
    expect(page.locator("#output")).to_have_text("One two")
    expect(page.locator("#events-list li")).to_have_count(2)
    page.get_by_role("button", name="Cancel").click()
    slow.next.release()
    expect(page.locator(".facts .state").first).to_have_text("cancelled")


def test_a_failed_job_is_run_again_with_another_message(page_for):
    page = page_for("member")
    usage = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
    message = {"role": "assistant", "content": "Better."}
    good = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage}
    refused = {"error": {"message": "that is too odd", "type": "invalid_request_error"}}
    with provider(answering(refused, 400), answering(good)) as running:
        make_agent(page)
        configure(page, running.url)
        say(page, "Something odd.")
        expect(page.locator(".turn .problem")).to_contain_text("too odd")
        page.locator(".turn").get_by_role("link", name="Job").click()
        page.get_by_role("link", name="Run with a change").click()
        page.get_by_label("Message").fill("Something else.")
        page.get_by_role("button", name="Run").click()
        expect(page.get_by_text("Better.")).to_be_visible()
    assert running.received[1].body["messages"][-1]["content"] == "Something else."


def test_an_agents_process_is_started_its_log_is_followed_and_it_is_stopped(page_for):
    page = page_for("member")
    make_agent(page)
    page.get_by_role("link", name="Process").click()
    page.get_by_role("button", name="Start", exact=True).first.click()
    expect(page.locator(".orders .state")).to_have_text("ready", timeout=60_000)
    page.get_by_role("link", name="Log").click()
    expect(page.locator("#log")).to_contain_text("gateway ready")
    page.get_by_role("link", name="Process").click()
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".orders .state")).to_have_text("stopped", timeout=60_000)


def test_the_list_of_jobs_stands_still_under_the_pointer(page_for, stack):
    page = page_for("member")
    make_agent(page)
    say(page, "First.")
    expect(page.locator(".turn .answer")).to_contain_text("You said: First.")
    agent = page.url.partition("/agents/")[2].partition("?")[0]
    watching = page.context.new_page()
    watching.goto("/jobs")
    rows = watching.locator("tbody tr")
    expect(rows).to_have_count(1)
    rows.first.hover()
    say(page, "Second.")
    expect(page.locator(".turn .answer").last).to_contain_text("You said: Second.")
    watching.bring_to_front()
    expect(watching.locator("body")).to_have_class("held")
    expect(rows).to_have_count(1)
    watching.mouse.move(5, 5)
    expect(rows).to_have_count(2)
    assert agent in rows.first.get_by_role("link", name="writer").get_attribute("href")
