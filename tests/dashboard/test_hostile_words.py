"""Script in everything that somebody else may name or say: every page shows it as words and runs nothing."""

from __future__ import annotations

from itertools import chain

import pytest
from playwright.sync_api import expect

from core.accounts import keys, workspaces
from core.ids import new_id
from tests.dashboard.chromium import opened, sign_in
from tests.dashboard.conftest import MOST_SHIFT
from tests.dashboard.walking import walk
from tests.providers.scripted import answering, provider

SCRIPT = "\"'><img src=x onerror=alert(1)><script>alert(1)</script>{{313*337}}"
URL = "https://hooks.example.com/\"'><svg/onload=alert(1)>"
MADE_ELEMENTS = "img[src='x'], [onerror], [onload], main script"
USAGE = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
CALL = {"id": SCRIPT, "type": "function", "function": {"name": SCRIPT, "arguments": '{"a": "</script>"}'}}
SAID = {"role": "assistant", "content": SCRIPT, "tool_calls": [CALL]}
GOOD = {"model": SCRIPT, "choices": [{"index": 0, "message": SAID, "finish_reason": SCRIPT}], "usage": USAGE}
BAD = {"error": {"message": SCRIPT, "type": SCRIPT, "code": SCRIPT}}


@pytest.fixture
def hostile(stack):
    """An admin's key to a workspace whose every word is script, and the paths of what was said there."""
    with stack.database() as db:
        workspace = workspaces.make(db, SCRIPT, new_id())["_id"]
        text = keys.make(db, role="admin", workspace_id=workspace, name=SCRIPT, created_by="test")[1]
    said = []
    with provider(answering(GOOD), answering(BAD, 400)) as vendor:
        agent = made(stack, text, "/agents", {**told(vendor.url), "name": SCRIPT})["id"]
        for status in ("succeeded", "failed"):
            chat = {"message": SCRIPT, "metadata": {SCRIPT: SCRIPT}, "callback_url": URL}
            job = made(stack, text, f"/agents/{agent}/chat", chat)["id"]
            ended(stack, text, job, status)
            said += [f"/jobs/{job}", f"/agents/{agent}?job={job}"]
    return text, said


def told(url):
    config = {"provider": "openai", "model": SCRIPT, "api_key": "sk-1", "custom_endpoint": url}
    return {"llm_config": config, "metadata": {SCRIPT: SCRIPT}} | dict.fromkeys(
        ("description", "system_prompt"), SCRIPT
    )


def ended(stack, key, job, status):
    url, headers = f"{stack.url}/jobs/{job}", {"Authorization": f"Bearer {key}"}
    stack.until(lambda: stack.http.get(url, headers=headers).json()["status"] == status, f"it has {status}")


def made(stack, key, path, body):
    answer = stack.http.post(stack.url + path, json=body, headers={"Authorization": f"Bearer {key}"})
    assert answer.ok, answer.text
    return answer.json()


def test_script_in_names_answers_errors_and_addresses_is_only_text(browser, stack, hostile):
    watched, (key, said) = opened(browser, f"http://{stack.host}:{stack.port}"), hostile
    page, shown = watched.page, []
    sign_in(page, key)
    page.goto("/drive")
    page.locator("[data-files]").set_input_files(
        {"name": SCRIPT, "mimeType": "text/html", "buffer": SCRIPT.encode()}
    )
    expect(page.locator(".uploads li[data-state=done] .called")).to_have_text(SCRIPT)
    for path in chain(walk(page), said):
        if path in said:
            page.goto(path)
        page.evaluate("() => new Promise(requestAnimationFrame)")
        assert page.locator(MADE_ELEMENTS).count() == 0, path
        assert str(313 * 337) not in page.locator("main").inner_text(), path
        watched.check(MOST_SHIFT)
        shown += [path] * ("onerror=alert(1)" in page.locator("main").inner_text())
    assert set(said) <= set(shown)
    assert len(shown) > 14
    page.context.close()
