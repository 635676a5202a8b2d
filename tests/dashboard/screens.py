"""`make screens`: a picture of each page, wide and narrow, light and dark, with a day of work in it."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page

from core.demo.people import WORKSPACE
from tests.dashboard.chromium import SIZES, THEMES, as_webp, chromium, opened, sign_in
from tests.stack import ADMIN_KEY, ROOT, Stack
from web.dashboard.pages import PAGES

FOLDER = ROOT / "docs" / "screens"
QUALITY = 0.8
MOST = 3_000_000
"""Bytes of the whole folder."""
PARTS = {
    "job": ("/jobs", "td.title a"),
    "agent": ("/agents", "td.title a"),
    "tiers": ("/usage", "nav.tabs a[href='/usage/tiers']"),
}
"""Pages that no row of the navigation leads to: where they begin, and what is clicked there."""


def main() -> None:
    """Start everything, fill it, look at it."""
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(Path(folder) / "data")
        stack.start()
        try:
            demo = [sys.executable, "-m", "core.cli", "demo"]
            subprocess.run(demo, cwd=ROOT, env=stack.environment, check=True)
            with chromium() as browser:
                taken = pictures(browser, f"http://{stack.host}:{stack.port}", ADMIN_KEY)
        finally:
            stack.stop()
    write(taken)


def pictures(browser: Browser, url: str, key: str) -> dict[str, bytes]:
    """By name of the file."""
    plain = browser.new_page()
    taken = {}
    for size in SIZES:
        for theme in THEMES:
            page = opened(browser, url, size=size, theme=theme, timezone_id="Europe/Berlin").page
            sign_in(page, key)
            turn_to(page, WORKSPACE)
            for name in names():
                show(page, name)
                png = page.screenshot(animations="disabled")
                taken[f"{name}-{size}-{theme}.webp"] = as_webp(plain, png, QUALITY)
            page.context.close()
    return taken


def names() -> list[str]:
    paths = {page.path for page in PAGES}
    return [*(page.views.name for page in PAGES), *(name for name, (at, _) in PARTS.items() if at in paths)]


def show(page: Page, name: str) -> None:
    """Go there, and wait until it is all there."""
    paths = {row.views.name: row.path for row in PAGES}
    path, click = PARTS[name] if name in PARTS else (paths[name], None)
    page.goto(path)
    if click is not None and page.locator(click).count():
        page.locator(click).first.click()
    page.wait_for_load_state("load")
    page.evaluate("document.fonts.ready")
    page.wait_for_timeout(400)  # charts are drawn a frame or two after they are loaded


def turn_to(page: Page, workspace: str) -> None:
    """As an admin."""
    page.goto("/workspaces")
    page.locator(f"form:has(input[value='{workspace}']) button").first.click()
    page.wait_for_url("**/")


def write(taken: dict[str, bytes]) -> None:
    """Instead of those that were there. Raises `ValueError` when they are too many bytes for a repository."""
    if sum(map(len, taken.values())) > MOST:
        raise ValueError(f"{sum(map(len, taken.values()))} bytes of pictures; at most {MOST}")
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.webp"):
        old.unlink()
    for name, data in taken.items():
        (FOLDER / name).write_bytes(data)
    print(f"{len(taken)} pictures, {sum(map(len, taken.values())) // 1000} kB, in {FOLDER}")


if __name__ == "__main__":
    main()
