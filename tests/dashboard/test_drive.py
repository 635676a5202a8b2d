"""Files as a person has them: chosen or dropped, found in the list, looked into, downloaded, deleted."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import expect

DROP = """
(text) => {
  const given = new DataTransfer();
  given.items.add(new File([text], "dropped.txt", { type: "text/plain" }));
  return given;
}
"""


def test_a_file_is_uploaded_looked_into_downloaded_and_deleted(page_for):
    page, text = page_for("member"), "From a browser, äöü.\n"
    page.goto("/drive")
    page.locator("[data-files]").set_input_files(
        [{"name": "notes.txt", "mimeType": "text/plain", "buffer": text.encode()}]
    )
    expect(page.locator(".uploads li[data-state=done]")).to_have_count(1)
    expect(page.get_by_role("cell", name="workspace", exact=True)).to_be_visible()
    page.get_by_role("link", name="notes.txt").click()
    expect(page.get_by_text(text.strip())).to_be_visible()
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Download").click()
    assert waiting.value.suggested_filename == "notes.txt"
    assert Path(waiting.value.path()).read_text() == text
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_text("No files yet")).to_be_visible()


def test_a_file_that_is_dropped_is_uploaded(page_for):
    page = page_for("member")
    page.goto("/drive")
    given = page.evaluate_handle(DROP, "Dropped.")
    page.dispatch_event("[data-drop]", "drop", {"dataTransfer": given})
    expect(page.locator(".uploads li[data-state=done]")).to_have_count(1)
    expect(page.get_by_role("link", name="dropped.txt")).to_be_visible()
