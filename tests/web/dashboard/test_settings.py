"""Settings: keys shown once, limited, rotated and revoked; the workspace; webhooks; the audit log."""

from __future__ import annotations

import re

import pytest

from core.accounts import keys, workspaces
from core.agents import agents
from core.clock import utcnow
from core.ids import new_id
from core.metering import ledger, marks
from tests.core.metering.rows import row
from tests.web.conftest import delivery
from tests.web.dashboard.browser import Browser
from tests.web.dashboard.forms import forms
from web.dashboard.frame.formats import money

TEXT = re.compile(r"<code>(vtl_[\w-]{40,})</code>")


@pytest.fixture
def admin(browser_for):
    return browser_for("admin")


@pytest.fixture
def key(services):
    """A member's key with a limit, and its text."""
    return keys.make(services.db, role="member", name="CI", limits={"rpm": 60}, created_by="test")


def signs_in(app, text):
    return Browser(app).sign_in(text).status_code == 303


def test_a_key_is_made_and_its_text_shown_this_once(admin, app, services):
    fields = {"role": "viewer", "name": "Board", "rpm": "60", "budget_usd": "4.25", "budget_period": "month"}
    made = admin.submit("/settings/keys/new", fields | {"tpm": "", "expires_at": "2031-02-03", "agents": ""})
    (text,) = TEXT.findall(made.text)
    assert signs_in(app, text)
    stored = services.db["keys"].find_one({"name": "Board"})
    assert (stored["role"], stored["rpm"], stored["tpm"]) == ("viewer", 60, None)
    assert (str(stored["budget_usd"]), stored["budget_period"]) == ("4.25", "month")
    assert f"{stored['expires_at']:%Y-%m-%d %H:%M}" == "2031-02-03 00:00"
    for page in ("/settings", f"/settings/keys/{stored['_id']}"):
        assert "Board" in admin.page(page)
        assert text not in admin.page(page)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"rpm": "many"}, "rpm"),
        ({"rpm": "0"}, "rpm"),
        ({"budget_usd": "5"}, "budget_period"),
        ({"role": "agent"}, "exactly one agent"),
        ({"role": "runtime"}, "role"),
        ({"expires_at": "soon"}, "expires_at"),
        ({"agents": "nobody"}, "not all of these"),
    ],
)
def test_what_the_api_would_refuse_is_refused_in_words(admin, services, fields, said):
    before = services.db["keys"].count_documents({})
    answer = admin.submit("/settings/keys/new", {"role": "member", **fields})
    assert answer.status_code == 422
    assert said in answer.text
    assert services.db["keys"].count_documents({}) == before


def test_the_list_says_what_each_key_may_use_and_has_spent(admin, key, services):
    used = row(utcnow(), workspace="default", key=key[0]["_id"], tokens=(1000, 1000))
    ledger.insert(services.db, [used])
    marks.raise_for(services.db, [used])
    page = admin.page("/settings")
    assert "60 requests a minute" in page
    assert money(used["cost"]) in page


def test_a_keys_limits_are_changed(admin, key, services):
    path = f"/settings/keys/{key[0]['_id']}"
    assert admin.submit(path, {"name": "CI two", "rpm": "", "max_running": "3"}).location == path
    stored = services.db["keys"].find_one({"_id": key[0]["_id"]})
    assert (stored["name"], stored["rpm"], stored["max_running"]) == ("CI two", None, 3)


def test_a_rotated_key_ends_and_the_one_in_its_place_counts_as_it(admin, key, app, services):
    made = admin.submit(f"/settings/keys/{key[0]['_id']}/rotate", {"grace": "0"})
    (text,) = TEXT.findall(made.text)
    assert signs_in(app, text)
    assert not signs_in(app, key[1])
    new = services.db["keys"].find_one({"counts_as": key[0]["_id"]})
    assert (new["role"], new["name"], new["rpm"]) == ("member", "CI", 60)


def test_with_a_grace_both_keys_hold_until_it_is_over(admin, key, app):
    admin.submit(f"/settings/keys/{key[0]['_id']}/rotate", {"grace": "3600"})
    assert signs_in(app, key[1])
    assert 'class="state ending"' in admin.page(f"/settings/keys/{key[0]['_id']}")
    assert admin.submit(f"/settings/keys/{key[0]['_id']}/rotate", {"grace": "0"}).status_code == 409


def test_whoever_is_signed_in_with_a_revoked_key_is_out(admin, key, app):
    other = Browser(app)
    other.sign_in(key[1])
    assert "Overview" in other.page("/")
    assert admin.submit(f"/settings/keys/{key[0]['_id']}/revoke").location == "/settings"
    assert "Sign in" in other.page("/")


@pytest.mark.parametrize("role", ["member", "viewer"])
def test_others_see_every_key_of_the_workspace_and_change_none(browser_for, key, role):
    other = browser_for(role)
    page = other.page("/settings")
    assert page.count("yours") == 1
    assert f'href="/settings/keys/{other.key["_id"]}"' in page
    of_key = other.page(f"/settings/keys/{key[0]['_id']}")
    assert "60 requests a minute" in of_key
    for shown in (page, of_key):
        assert "CI" in shown
        assert [form for form in forms(shown) if form.startswith("/settings")] == []
        assert "/settings/keys/new" not in shown


@pytest.mark.parametrize("path", ["/settings/keys/new", "/settings/audit-log", "/settings/webhooks/secret"])
def test_what_is_an_admins_no_member_reads(browser, path):
    assert browser.get(path).status_code == 403


@pytest.mark.parametrize(
    "path",
    [
        "/settings/keys/new",
        "/settings/keys/{key}",
        "/settings/keys/{key}/rotate",
        "/settings/keys/{key}/revoke",
        "/settings/workspace",
        "/settings/webhooks/rotate",
    ],
)
def test_what_is_an_admins_no_member_writes(browser, key, path):
    assert browser.submit(path.format(key=key[0]["_id"]), {"grace": "0"}).status_code == 403


def test_a_key_of_another_workspace_is_not_there(admin, services):
    workspaces.make(services.db, "Other", "other")
    foreign, _ = keys.make(services.db, role="member", workspace_id="other", created_by="test")
    assert admin.get(f"/settings/keys/{foreign['_id']}").status_code == 404
    for path in ("", "/rotate", "/revoke"):
        assert admin.submit(f"/settings/keys/{foreign['_id']}{path}", {"grace": "0"}).status_code == 404
    assert services.db["keys"].find_one({"_id": foreign["_id"]})["revoked_at"] is None


def test_an_admin_sets_what_holds_for_the_workspace(admin, browser, services):
    fields = {"name": "Acme", "alert_url": "", "max_running": "9", "limit_policy": "block"}
    assert admin.submit("/settings/workspace", fields).status_code == 303
    assert "calls are refused" in browser.page("/settings/workspace")
    stored = workspaces.get(services.db, "default")
    assert (stored["name"], stored["max_running"], stored["limit_policy"]) == ("Acme", 9, "block")
    refused = admin.submit("/settings/workspace", fields | {"alert_url": "http://127.0.0.1/x"})
    assert refused.status_code == 422
    assert browser.submit("/settings/workspace", fields).status_code == 403


def test_a_delivery_is_shown_without_what_its_url_hides_and_can_be_sent_again(browser, services):
    tries = [{"at": utcnow(), "status": 503, "ms": 210}]
    name = delivery(services.db, "default", state="failed", reason="not taken within a day", tries=tries)
    delivery(services.db, "other", event="job.failed")
    page = browser.page("/settings/webhooks")
    assert "HTTP 503, 210 ms" in page
    assert "token=1" not in page
    assert "job.failed" not in page
    assert browser.submit(f"/settings/webhooks/{name}/redeliver").location == "/settings/webhooks"
    stored = services.db.deliveries.find_one({"_id": name})
    assert stored["state"] == "due"
    assert stored["next_at"] <= utcnow()
    assert "reason" not in stored


def test_a_delivery_of_another_workspace_is_not_sent_again(browser, services):
    name = delivery(services.db, "other", state="failed")
    assert browser.submit(f"/settings/webhooks/{name}/redeliver").status_code == 404
    assert services.db.deliveries.find_one({"_id": name})["state"] == "failed"


def test_the_webhook_secret_is_rotated(admin):
    secrets = []
    for _ in range(2):
        secrets += re.findall(r"whsec_[\w+/=]+", admin.page("/settings/webhooks/secret"))[:1]
        assert admin.submit("/settings/webhooks/rotate", {"grace": "3600"}).status_code == 303
    assert len(set(secrets)) == 2


def test_the_audit_log_names_who_did_what(admin, key, trail):
    admin.submit(f"/settings/keys/{key[0]['_id']}/revoke")
    trail.flush()
    page = admin.page("/settings/audit-log").replace("<wbr>", "")
    assert "POST /settings/keys/&lt;key_id&gt;/revoke" in page
    assert key[0]["_id"] in page


def test_the_audit_log_names_agents_and_their_processes(admin, services):
    agent = agents.create(services.db, "default", {"name": "scout"}, None)
    for key_id, target in ((f"runtime:{agent['_id']}", {}), ("runtime:gone", {"agent_id": agent["_id"]})):
        entry = {"_id": new_id(), "workspace_id": "default", "created_at": utcnow(), "key_id": key_id}
        more = {"role": "agent", "method": "POST", "route": "/x", "status": 200, "target": target}
        more |= {"address": None, "request_id": "r1"}
        services.db.audit_log.insert_one({**entry, **more})
    page = admin.page("/settings/audit-log")
    assert "process of scout" in page
    assert "process of an agent" in page
    assert '<span class="under">agent scout</span>' in page


def test_script_in_a_keys_name_is_only_a_name(admin, services):
    made, _ = keys.make(services.db, role="member", name="<script>alert(1)</script>", created_by="test")
    for path in ("/settings", f"/settings/keys/{made['_id']}"):
        assert "<script>alert" not in admin.page(path)
