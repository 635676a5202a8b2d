"""`make screens`: a picture of each page, wide and narrow, light and dark, with a day of work in it."""

from __future__ import annotations

import math
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page
from pymongo.database import Database

from core.clock import utcnow
from core.demo.people import COLLEAGUES, WORKSPACE
from core.errors import JobFailed
from core.history import rollups
from core.jobs.isolation import QUARANTINED
from tests.dashboard.chromium import THEMES, as_webp, chromium, opened, sign_in
from tests.stack import ADMIN_KEY, ROOT, Stack
from web.dashboard.pages import PAGES

FOLDER = ROOT / "docs" / "screens"
QUALITY = 0.8
PICTURED = ("wide", "narrow")
MOST = 3_000_000
"""Bytes of the whole folder."""
TAB = "nav.tabs a[href='{}']"
PARTS = {
    "job": ("/jobs?status=succeeded&provider=openai", "td.title a"),
    "failed-job": ("/jobs?status=failed&code=provider_busy", "td.title a"),
    "agent": ("/agents", "td.title a"),
    "credential": ("/providers", "a[href^='/providers/credentials/']"),
    "isolation": ("/queues", TAB.format("/queues/isolation")),
    "tiers": ("/usage", TAB.format("/usage/tiers")),
    "statements": ("/usage", TAB.format("/usage/statements")),
    "audit": ("/usage", TAB.format("/usage/audit")),
    "new-key": ("/settings", "a[href='/settings/keys/new']"),
    "webhooks": ("/settings", TAB.format("/settings/webhooks")),
    "audit-log": ("/settings", TAB.format("/settings/audit-log")),
}
"""Pages that no row of the navigation leads to: where they begin, and what is clicked there."""
CHATS = 6


def main() -> None:
    """Start everything, fill it, look at it."""
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(Path(folder) / "data")
        stack.start()
        try:
            demo = [sys.executable, "-m", "core.cli", "demo"]
            subprocess.run(demo, cwd=ROOT, env=stack.environment, check=True)
            keep_busy(stack)
            with chromium() as browser:
                taken = pictures(browser, f"http://{stack.host}:{stack.port}", ADMIN_KEY)
        finally:
            stack.stop()
    write(taken)


def keep_busy(stack: Stack) -> None:
    """What the demo leaves alone, since it is not one workspace's: what workers did, and the queues' hour."""
    headers = {"X-Workspace": WORKSPACE}
    sandbox = next(one for one in COLLEAGUES if one.provider == "sandbox")
    jobs = [stack.chat(f"agent:{sandbox.name}", sandbox.topics[0][0], **headers).json() for _ in range(CHATS)]
    with stack.database() as db:
        quarantine(db)
        ids = [job["id"] for job in jobs]
        stack.until(
            lambda: db.jobs.count_documents({"_id": {"$in": ids}, "status": "succeeded"}) == CHATS,
            "all is done",
        )
        stack.until(lambda: db.processes.find_one({"last_jobs.0": {"$exists": True}}), "it is told")
        rollups.write(db.history_queues, "queue", dict(hour()), rollups.MINUTES_KEPT)


def quarantine(db: Database[dict[str, Any]]) -> None:
    """Two jobs that took their workers with them."""
    worker = db.processes.find_one({"role": "isolation"})
    error = JobFailed("3 workers were lost while they ran this job", code=QUARANTINED).as_dict()
    failed = {"workspace_id": WORKSPACE, "status": "failed", "error.code": "provider_timeout"}
    for job in list(db.jobs.find(failed).sort("created_at", -1).limit(2)):
        lost = [{"attempt": n, "owner": worker["_id"], "lost_at": job["finished_at"]} for n in (1, 2, 3)]
        changes = {"lost": lost, "error": error, "calls": [], "attempt": 3, "owner": worker["_id"]}
        db.jobs.update_one({"_id": job["_id"]}, {"$set": changes})


def hour() -> Iterator[tuple[rollups.Key, dict[str, int]]]:
    """The last hour of the queue of chats."""
    now, chance = utcnow().replace(second=0, microsecond=0), random.Random(7)
    for ago in range(1, 61):
        busy = 30 + 14 * math.sin(ago / 9)
        ended, waiting = int(busy * chance.uniform(0.7, 1.3)), int(chance.expovariate(0.5))
        yield ("chat", now - ago * rollups.MINUTE), {"finished": ended, "depth": waiting}


def pictures(browser: Browser, url: str, key: str) -> dict[str, bytes]:
    """By name of the file."""
    plain = browser.new_page()
    taken = {}
    for size in PICTURED:
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
    return [*(page.views.name for page in PAGES), *PARTS]


def show(page: Page, name: str) -> None:
    """Go there, and wait until it is all there."""
    paths = {row.views.name: row.path for row in PAGES}
    path, click = PARTS[name] if name in PARTS else (paths[name], None)
    page.goto(path)
    if click is not None:
        page.goto(page.locator(click).first.get_attribute("href") or path)
    if name == "agent":
        talk(page)
    page.wait_for_load_state("load")
    page.evaluate("document.fonts.ready")
    page.wait_for_timeout(400)  # charts are drawn a frame or two after they are loaded


def talk(page: Page) -> None:
    """Ask the agent something, and wait for its answer."""
    page.fill("textarea[name=message]", "Translate: 'Free returns within 30 days.'")
    page.get_by_role("button", name="Send").click()
    page.get_by_text("No model was asked").wait_for()


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
