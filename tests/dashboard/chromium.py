"""A real Chromium, Debian's, driven by Playwright: what it sees, and what a page must never do in it."""

from __future__ import annotations

import base64
import contextlib
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.stack import Stack

SIZES = {"wide": (1440, 900), "laptop": (1280, 800), "narrow": (390, 844)}
THEMES = ("light", "dark")
PATIENT_MS = 180_000
NAME = "chromium"
REFUSED = re.compile(r"responded with a status of (409|422)\b")
"""What Chromium notes when a form is told what is wrong with it."""
HOW = "a real Chromium is needed (Debian: apt install chromium)"

SHIFTS = """
window.__shifts = 0;
let asked = -Infinity;
for (const kind of ["pointerdown", "keydown"])
  addEventListener(kind, () => { asked = performance.now(); }, true);
new PerformanceObserver((list) => {
  for (const entry of list.getEntries())
    if (!entry.hadRecentInput && entry.startTime - asked > 5000) window.__shifts += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""
"""Adds up how much of what is seen moved by itself: https://web.dev/articles/cls, read 2026-11.

What moves within 5 s of a click is its answer: on a busy machine it takes longer than half a second.
"""

SHRINK = """
async ([png, quality]) => {
  const image = new Image();
  image.src = "data:image/png;base64," + png;
  await image.decode();
  const canvas = new OffscreenCanvas(image.width, image.height);
  canvas.getContext("2d").drawImage(image, 0, 0);
  const blob = await canvas.convertToBlob({ type: "image/webp", quality });
  const bytes = new Uint8Array(await blob.arrayBuffer());
  let text = "";
  for (let n = 0; n < bytes.length; n += 8192) text += String.fromCharCode(...bytes.subarray(n, n + 8192));
  return btoa(text);
}
"""


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """A browser without a window. Raises `RuntimeError` where there is none to start."""
    if shutil.which(NAME) is None:
        raise RuntimeError(HOW)
    with sync_playwright() as playwright:
        # As root, and in a container, Chromium has no sandbox of its own; /dev/shm may be small.
        flags = ["--no-sandbox", "--disable-dev-shm-usage"]
        browser = playwright.chromium.launch(executable_path=shutil.which(NAME), args=flags)
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Watched:
    """What a page did that it must not do, as it happens."""

    page: Page
    host: str
    errors: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", lambda said: self._said(said.type, said.text))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self._asked(request.url))

    def _said(self, kind: str, text: str) -> None:
        if kind == "error" and not REFUSED.search(text):
            self.errors.append(text)

    def _asked(self, url: str) -> None:
        if urlsplit(url).scheme in ("http", "https", "ws", "wss") and urlsplit(url).netloc != self.host:
            self.elsewhere.append(url)

    def shifts(self) -> float:
        """How much has moved since this page was loaded."""
        return float(self.page.evaluate("window.__shifts"))

    def check(self, most_shift: float) -> None:
        """Fails when the page did what no page may."""
        assert (self.errors, self.elsewhere) == ([], [])
        assert self.shifts() < most_shift


def opened(browser: Browser, url: str, *, size: str = "wide", theme: str = "light", **more: Any) -> Watched:
    """A page of its own, with cookies of its own, which relative addresses lead to `url`."""
    width, height = SIZES[size]
    context = browser.new_context(
        base_url=url,
        viewport={"width": width, "height": height},
        color_scheme=theme,
        reduced_motion="reduce",
        locale="en-GB",
        **more,
    )
    context.set_default_timeout(PATIENT_MS)
    expect.set_options(timeout=PATIENT_MS)
    page = context.new_page()
    page.add_init_script(SHIFTS)
    return Watched(page, urlsplit(url).netloc)


def sign_in(page: Page, key: str) -> None:
    """With an API key, as a person does."""
    page.goto("/")
    page.fill("input[name=key]", key)
    page.press("input[name=key]", "Enter")
    page.wait_for_selector("nav .pages", state="attached")  # behind a button, where it is narrow


def asked_for(stack: Stack, key: str) -> str:
    """The id of a chat that an agent called `scout` of the sandbox was asked for."""
    headers = {"Authorization": f"Bearer {key}"}
    scout = {"name": "scout", "llm_config": {"provider": "sandbox"}}
    stack.http.post(f"{stack.url}/agents", json=scout, headers=headers)
    return str(stack.chat("agent:scout", "Hello", **headers).json()["id"])


def done(stack: Stack, key: str, job: str) -> None:
    """Wait until this job has succeeded."""
    headers = {"Authorization": f"Bearer {key}"}
    url = f"{stack.url}/jobs/{job}"
    stack.until(lambda: stack.http.get(url, headers=headers).json()["status"] == "succeeded", "it is done")


def as_webp(page: Page, png: bytes, quality: float = 0.8) -> bytes:
    """A picture, smaller. `page`: one that no policy binds."""
    return base64.b64decode(page.evaluate(SHRINK, [base64.b64encode(png).decode(), quality]))
