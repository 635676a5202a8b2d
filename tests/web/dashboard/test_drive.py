"""The drive's pages: files by path, kind and agent; a look into them; uploads and deletions."""

from __future__ import annotations

import io

import pytest

from core.accounts import workspaces
from core.drive import files
from tests.web.conftest import stored

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>.txt"


@pytest.fixture
def keep(services, app, agent):
    """Store `hello`, and set fields of its record: `keep(name="a.txt")`."""

    def make(**fields):
        file_id = stored(services, app, agent)
        services.db.drive_files.update_one({"_id": file_id}, {"$set": {"media_type": "text/plain", **fields}})
        return file_id

    return make


def test_a_file_is_listed_with_its_agent_and_size(browser, keep):
    keep(name="notes.txt", path="notes/notes.txt")
    page = browser.page("/drive")
    for said in ("notes.txt", "notes/notes.txt", "scout", "5 B"):
        assert said in page


def test_without_files_the_page_says_what_to_do(browser):
    assert "No files yet" in browser.page("/drive")


def test_files_are_searched_by_path_and_kind(browser, keep):
    keep(name="one.txt", path="notes/one.txt")
    keep(name="two.png", path="images/two.png", media_type="image/png")
    for query, found, absent in (
        ("prefix=notes/", "one.txt", "two.png"),
        ("media_type=image/*", "two.png", "one.txt"),
    ):
        page = browser.page(f"/drive?{query}")
        assert found in page
        assert absent not in page
    assert "No file matches" in browser.page("/drive?prefix=nothing")


def test_a_text_is_previewed_as_text(browser, keep):
    page = browser.page(f"/drive/{keep()}")
    assert "<code>hello</code>" in page


def test_a_picture_is_shown_from_this_host(browser, keep):
    file_id = keep(media_type="image/png")
    assert f'<img class="preview" src="/drive/{file_id}/content"' in browser.page(f"/drive/{file_id}")
    answer = browser.get(f"/drive/{file_id}/content")
    assert (answer.data, answer.mimetype) == (b"hello", "image/png")
    assert answer.headers["Content-Security-Policy"].startswith("sandbox")


@pytest.mark.parametrize("media_type", ["text/html", "image/svg+xml"])
def test_what_a_browser_might_run_is_text_and_downloaded(browser, keep, media_type):
    file_id = keep(media_type=media_type)
    page = browser.page(f"/drive/{file_id}")
    assert "<img" not in page
    assert "<code>hello</code>" in page
    for path in ("content", "download"):
        answer = browser.get(f"/drive/{file_id}/{path}")
        assert answer.headers["Content-Disposition"].startswith("attachment")
        assert answer.data == b"hello"


def test_script_in_a_files_name_is_only_a_name(browser, keep):
    file_id = keep(name=HOSTILE, path=f"a/{HOSTILE}")
    for path in ("/drive", f"/drive/{file_id}"):
        page = browser.page(path)
        assert "&lt;script&gt;alert" in page
        assert "<script>alert" not in page
        assert "<img src=x" not in page
    answer = browser.get(f"/drive/{file_id}/download")
    assert "\n" not in answer.headers["Content-Disposition"]
    assert answer.data == b"hello"


def test_an_upload_is_accepted_as_the_api_accepts_it(browser, services, sent, agent):
    name = HOSTILE.replace('"', "")  # Werkzeug's client does not encode it, as browsers do
    body = {"agent_id": agent, "file": (io.BytesIO(b"new"), name)}
    answer = browser.client.post("/drive/upload", data=body, headers={"X-CSRF": browser.token()})
    assert answer.status_code == 202, answer.text
    record = services.db.drive_files.find_one({"size": 3})
    assert (record["name"], record["agent_id"], record["state"]) == (name, agent, files.ARRIVING)
    assert record["created_by"] == browser.key["_id"]


def test_what_is_wrong_with_an_upload_is_told_in_words(browser, services):
    body = {"agent_id": "nobody", "file": (io.BytesIO(b"new"), "a.txt")}
    headers = {"X-CSRF": browser.token(), "HX-Request": "true"}
    answer = browser.client.post("/drive/upload", data=body, headers=headers)
    assert (answer.status_code, answer.mimetype) == (404, "text/html")
    assert services.db.drive_files.find_one({"size": 3}) is None


def test_a_deleted_file_is_gone_at_once(browser, keep, services):
    file_id = keep()
    assert browser.submit(f"/drive/{file_id}/delete").location == "/drive"
    assert services.db.drive_files.find_one({"_id": file_id})["state"] == files.DELETING
    assert browser.get(f"/drive/{file_id}").status_code == 404
    assert browser.submit(f"/drive/{file_id}/delete").status_code == 404


def test_a_viewer_reads_and_may_press_nothing(browser_for, keep, services):
    viewer, file_id = browser_for("viewer"), keep()
    for path in ("/drive", f"/drive/{file_id}"):
        page = viewer.page(path)
        assert "/delete" not in page
        assert "data-drop" not in page
    assert viewer.get(f"/drive/{file_id}/download").data == b"hello"
    assert viewer.submit(f"/drive/{file_id}/delete").status_code == 403
    upload = {"file": (io.BytesIO(b"new"), "a.txt")}
    answer = viewer.client.post("/drive/upload", data=upload, headers={"X-CSRF": viewer.token()})
    assert answer.status_code == 403
    assert services.db.drive_files.count_documents({}) == 1


def test_a_file_of_another_workspace_is_not_there(browser, keep, services):
    workspaces.make(services.db, "Other", "other")
    file_id = keep(workspace_id="other", name="secret.txt")
    assert "secret.txt" not in browser.page("/drive")
    for path in ("", "/content", "/download"):
        assert browser.get(f"/drive/{file_id}{path}").status_code == 404
    assert browser.submit(f"/drive/{file_id}/delete").status_code == 404
    assert services.db.drive_files.find_one({"_id": file_id})["state"] == files.STORED
