"""What all pages keep to: headers, files that are kept for good, the right workspace, errors in words."""

from __future__ import annotations

import gzip
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from core.accounts import keys
from core.jobs import signals
from core.jobs.claim import claim
from core.jobs.events import Emitter
from core.jobs.watch import ANY, Watcher
from tests.factory import queued
from tests.waiting import ending, until
from tests.web.conftest import ADMIN
from tests.web.dashboard.browser import Browser
from web.doors import standing

TAKES_FOR_MARKUP = re.compile(r"\|\s*safe\b|autoescape|Markup")
HOUR = 3600
SHOWN = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"}
NOWHERE = ["/nowhere", "/jobs/a/b/c", "/usage/nowhere", "/static", "/api/v2/jobs", "/v1x", "/%00"]
FILES = re.compile(r'(?:src|href)="(/static/[^"#]+)')


def test_a_page_runs_only_its_own_scripts_and_asks_no_other_host(browser):
    answer = browser.get("/")
    policy = answer.headers["Content-Security-Policy"]
    nonce = re.search(r"script-src 'nonce-([\w-]{20,})'", policy)[1]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    scripts = re.findall(r"<script[^>]*>([^<]*)", answer.text)
    assert scripts
    assert not any(scripts)
    assert answer.text.count(f'nonce="{nonce}"') >= len(scripts)
    assert "<style" not in answer.text
    assert ' style="' not in answer.text
    assert not re.search(r'(?:src|href|action)="(?:https?:)?//', answer.text)


def test_no_template_takes_a_text_for_markup(app):
    """What people and models said is escaped everywhere, also where no test has put script."""
    pages = app.jinja_env
    templates = {name: pages.loader.get_source(pages, name)[0] for name in pages.list_templates(["html"])}
    assert len(templates) > 30
    wrong = [name for name, source in templates.items() if TAKES_FOR_MARKUP.search(source)]
    assert wrong == []


def test_no_two_answers_have_the_same_nonce_or_token(browser):
    first, second = browser.page("/"), browser.page("/")
    for name in (r'nonce="([^"]+)"', r'name="csrf" value="([^"]+)"'):
        assert re.search(name, first)[1] != re.search(name, second)[1]


def test_pages_are_kept_nowhere(browser):
    assert browser.get("/").headers["Cache-Control"] == "no-store"


def test_files_are_kept_for_good_under_the_name_of_their_content(browser):
    files = set(FILES.findall(browser.page("/")))
    assert len(files) > 5
    for path in files:
        answer = browser.get(path)
        assert answer.status_code == 200, path
        assert "immutable" in answer.headers["Cache-Control"]
        assert browser.get(re.sub(r"/static/\w", "/static/x", path)).status_code == 404


def test_what_a_style_names_is_there(browser):
    path = next(path for path in FILES.findall(browser.page("/")) if path.endswith("base.css"))
    font = re.search(r'url\("(/static/[^"]+)"\)', browser.get(path).text)[1]
    assert browser.get(font).content_type == "font/woff2"


def test_pages_and_files_are_packed_for_whom_takes_it(browser):
    path = next(path for path in FILES.findall(browser.page("/")) if path.endswith(".css"))
    for url in ("/", path):
        plain, packed = browser.get(url), browser.get(url, headers={"Accept-Encoding": "gzip"})
        assert packed.headers["Content-Encoding"] == "gzip"
        assert "Accept-Encoding" in packed.headers["Vary"]
        assert len(packed.data) < len(plain.data) / 2
        assert gzip.decompress(packed.data)[:15] == plain.data[:15]


def test_files_need_no_session(app):
    page = Browser(app).page("/")
    assert {app.test_client().get(path).status_code for path in FILES.findall(page)} == {200}


def test_what_is_not_there_is_told_in_words_with_its_status(browser):
    answer = browser.get("/static/x/../../core/config.py")
    assert answer.status_code == 404
    assert answer.content_type.startswith("text/html")


def test_a_part_of_a_page_is_told_of_an_error_in_a_part(browser_for):
    viewer = browser_for("viewer")
    answer = viewer.submit("/workspaces", {"workspace_id": "default"}, headers={"HX-Request": "true"})
    assert answer.status_code == 403
    assert "<html" not in answer.text
    assert "may not do this" in answer.text


def test_an_admin_turns_to_another_workspace(browser_for):
    admin = browser_for("admin")
    browser_for("member", workspace="other")
    assert "<span>Default</span>" in admin.page("/")
    assert admin.submit("/workspaces", {"workspace_id": "other"}).status_code == 303
    assert "<span>Other</span>" in admin.page("/")
    assert admin.submit("/workspaces", {"workspace_id": "nowhere"}).status_code == 404


def test_an_admin_makes_a_workspace_and_is_in_it(browser_for):
    admin = browser_for("admin")
    assert 'href="/workspaces/new"' in admin.page("/workspaces")
    assert 'name="name"' in admin.page("/workspaces/new")
    made = admin.submit("/workspaces/new", {"name": "Research", "id": "research"})
    assert (made.status_code, made.location) == (303, "/")
    assert "<span>Research</span>" in admin.page("/")
    assert "<code>research</code>" in admin.page("/workspaces")
    assert admin.submit("/workspaces/new", {"name": "Another", "id": "research"}).status_code == 409
    assert admin.submit("/workspaces/new", {"name": "Another", "id": ""}).status_code == 303
    assert "<span>Another</span>" in admin.page("/"), "without an id one is made"


@pytest.mark.parametrize("given", [{"name": ""}, {"name": "A", "id": "Not This"}, {}])
def test_a_workspace_is_refused_as_the_api_refuses_it(browser_for, services, given):
    admin = browser_for("admin")
    before = services.db.workspaces.count_documents({})
    assert admin.submit("/workspaces/new", given).status_code == 422
    assert services.db.workspaces.count_documents({}) == before


@pytest.mark.parametrize("role", ["member", "viewer"])
def test_nobody_else_turns_to_another_workspace(browser_for, role):
    other = browser_for(role)
    assert other.get("/workspaces").status_code == 403
    assert other.get("/workspaces/new").status_code == 403
    assert other.submit("/workspaces", {"workspace_id": "default"}).status_code == 403


def test_the_next_page_says_what_was_done_once(browser_for):
    admin = browser_for("admin")
    admin.submit("/workspaces", {"workspace_id": "default"})
    assert "You are in Default." in admin.page("/")
    assert "You are in Default." not in admin.page("/")


def test_a_write_is_in_the_audit_log(browser_for, services, trail):
    admin = browser_for("admin")
    admin.submit("/workspaces", {"workspace_id": "default"})
    trail.flush()
    entry = services.db.audit_log.find_one({"route": "/workspaces"})
    assert (entry["key_id"], entry["method"]) == (admin.key["_id"], "POST")


def test_the_stream_tells_of_a_change_and_ends_with_the_session(browser, services, watcher, monkeypatch):
    monkeypatch.setattr(standing, "LOOK_S", 0.0)
    monkeypatch.setattr(Watcher.changes, "__kwdefaults__", {"pause_s": 0.01, "longest_s": HOUR})
    stream = browser.get("/live")
    told = stream.response

    def next_after(change):
        def say():
            until(lambda: watcher._waiting[ANY], "it listens")
            services.redis.publish(signals.CHANGED, change)

        with ThreadPoolExecutor(1) as pool:
            pool.submit(say)
            return ending(lambda: next(told))

    assert next(told).startswith(b"event: ready")
    assert next_after("some-job").startswith(b"event: change")
    keys.revoke(services.db, browser.key)
    assert list(told) == [b"event: signed-out\ndata:\n\n"], "nothing has changed since"
    stream.close()


@pytest.mark.parametrize("end", [keys.revoke, lambda db, key: db.sessions.delete_many({})])
def test_a_page_that_shows_a_job_hears_no_more_of_it_once_its_session_ended(
    browser, services, agent, monkeypatch, end
):
    monkeypatch.setattr(standing, "LOOK_S", 0.0)
    job = claim(services.db, queued(services.db, workspace_id="default", agent_id=agent)["_id"], "p1")
    Emitter(services.redis, job["_id"], 1).emit("delta", {"type": "content", "content": "word"})
    stream = browser.get(f"/jobs/{job['_id']}/stream")
    told = stream.response
    assert any(b"word" in event for event in told)
    end(services.db, browser.key)
    *_, last = told
    assert last == b"event: signed-out\ndata:\n\n"
    stream.close()


@pytest.mark.parametrize("address", ["/live", "/jobs/job_that_was/stream"])
def test_a_stream_that_is_asked_for_after_the_session_ended_says_so(browser, services, address):
    """A browser gives an `EventSource` up for good, without a word to its page, that gets a page's markup."""
    keys.revoke(services.db, browser.key)
    told = browser.get(address, headers={"Accept": "text/event-stream"})
    assert (told.status_code, told.mimetype) == (200, "text/event-stream")
    assert told.data == b"event: signed-out\ndata:\n\n"


def test_the_api_needs_no_page(app):
    assert app.test_client().get("/api/v1/agents", headers={"X-API-Key": ADMIN}).status_code == 200


@pytest.mark.parametrize("path", NOWHERE)
@pytest.mark.parametrize("who", ["nobody", "member"])
def test_a_person_is_shown_a_page_where_there_is_none(app, browser_for, who, path):
    client = browser_for(who).client if who == "member" else app.test_client()
    answer = client.get(path, headers=SHOWN)
    assert (answer.status_code, answer.content_type) == (404, "text/html; charset=utf-8")
    assert "There is no such page" in answer.text
    assert answer.headers["X-Request-Id"] in answer.text
    nonce = re.search(r"script-src 'nonce-([\w-]{20,})'", answer.headers["Content-Security-Policy"])[1]
    assert len(re.findall("<script", answer.text)) == answer.text.count(f'nonce="{nonce}"') > 0
    assert answer.headers["Referrer-Policy"] == "same-origin"


def test_a_person_who_opens_what_only_takes_writes_is_told_so(app):
    answer = app.test_client().get("/sign-out", headers=SHOWN)
    assert answer.status_code == 405
    assert "POST" in answer.headers["Allow"]
    assert answer.content_type.startswith("text/html")
    assert "takes what a button sends" in answer.text


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/nowhere", {}),
        ("/nowhere", {"Accept": "*/*"}),
        ("/nowhere", {"Accept": "application/json, text/html"}),
        ("/nowhere", {**SHOWN, "Authorization": "Bearer key"}),
        ("/nowhere", {**SHOWN, "X-API-Key": "key"}),
        ("/api/v1/nowhere", SHOWN),
        ("/api/v1", SHOWN),
    ],
)
def test_a_program_is_told_in_json_that_there_is_no_such_address(app, path, headers):
    answer = app.test_client().get(path, headers=headers)
    assert (answer.status_code, answer.content_type) == (404, "application/problem+json")
    assert answer.json["code"] == "not_found"
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"


def test_a_door_tells_a_browser_too_in_its_own_way(app):
    answer = app.test_client().get("/v1/nowhere", headers=SHOWN)
    assert answer.json["error"]["code"] == "unknown_url"
