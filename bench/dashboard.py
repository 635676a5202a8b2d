"""How long the dashboard's pages take, and weigh, beside 20,000 jobs: `python -m bench.dashboard [n]`.

Starts the whole stack with the embedded stores, and fills a workspace with the demo's day of work: `n` jobs.
A page's weight is that of a first visit: the page and all that it is drawn with, as it is sent.
"""

from __future__ import annotations

import re
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin

import requests

from bench.choices import asked_for_help
from core.accounts import keys
from core.demo import write
from core.demo.people import WORKSPACE
from core.drive import storages
from tests.stack import Stack

RUNS = 11
PAGES = (
    "/",
    "/?span=day",
    "/jobs",
    "/jobs?status=failed",
    "/jobs?status=queued",
    "/jobs?status=running",
    "/jobs?agent=support-desk",
    "/jobs?provider=anthropic",
    "/jobs?within=1h",
    "/jobs?q=none-has-this",
    "/jobs/names",
    "/agents",
    "/usage",
    "/usage?tz=Europe/Berlin",
    "/usage?period=day&tz=Europe/Berlin",
    "/usage/tiers",
    "/usage/statements",
    "/queues",
    "/queues/isolation",
    "/drive",
    "/providers",
    "/providers?days=30",
)
ASSET = re.compile(r"(?:href|src)=\"(/static/[^\"#]+)|url\(\"(/static/[^\"]+)\"\)")


def main(n: int = 20_000) -> None:
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(Path(folder) / "data")
        stack.start()
        try:
            browser = sign_in(stack, n)
            for path in PAGES:
                took = sorted(asked(browser, path) for _ in range(RUNS))
                kb = sum(weights(browser, path)) / 1000
                print(f"  {path:32} {statistics.median(took):6.0f} ms  at most {took[-1]:.0f}  {kb:6.0f} kB")
        finally:
            stack.stop()


class Browser(requests.Session):
    """`base`: where the pages are."""

    base = ""


def sign_in(stack: Stack, n: int) -> Browser:
    """Fill the store, and sign in to the workspace that was filled."""
    with stack.database() as db:
        settings = stack.settings()
        storage = storages.make(settings)
        print(write.everything(db, settings, storage, n=n), flush=True)
        _, text = keys.make(db, role="member", workspace_id=WORKSPACE, created_by="bench")
    browser = Browser()
    browser.trust_env, browser.base = False, f"http://{stack.host}:{stack.port}"
    browser.post(f"{browser.base}/sign-in", data={"key": text}, timeout=60).raise_for_status()
    return browser


def asked(browser: Browser, path: str) -> float:
    """Milliseconds until the page is there."""
    started = time.perf_counter()
    answer = browser.get(browser.base + path, timeout=60)
    took = (time.perf_counter() - started) * 1000
    answer.raise_for_status()
    assert "/sign-out" in answer.text or path == "/jobs/names", "not signed in"
    return took


def weights(browser: Browser, path: str) -> Iterator[int]:
    """Bytes of the page and of each file that it names, and that those name, as they come over the wire."""
    waiting, known = [path], {path}
    while waiting:
        answer = browser.get(urljoin(browser.base, waiting.pop()), timeout=60, stream=True)
        raw = answer.raw.read(decode_content=False)
        yield len(raw)
        if answer.headers["Content-Type"].startswith(("text/html", "text/css")):
            text = browser.get(answer.url, timeout=60).text
            found = {one or other for one, other in ASSET.findall(text)} - known
            waiting += found
            known |= found


if __name__ == "__main__":
    if not asked_for_help(__doc__, sys.argv[1:]):
        main(*map(int, sys.argv[1:]))
