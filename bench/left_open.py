"""Pages left open beside a busy stack: `python -m bench.left_open [seconds]`.

Chromium holds a tab for each page that changes by itself. Chats are asked for all the time, and each tab asks
for its live parts again and again, instead of once a second: so that hours pass in minutes.
Halfway the web process is killed. Every so often is printed what each tab holds after its garbage was
collected, and what the web processes do.
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import requests
from playwright.sync_api import Page

from bench.choices import asked_for_help
from core.accounts import keys
from tests.dashboard.chromium import chromium, opened, sign_in
from tests.stack import Stack

PATHS = ("/", "/jobs", "/queues", "/agents")
ROUND_S = 5.0
BUSY = 2
HURRY = """
async (ms) => {
  window.__asked ??= 0;
  const end = performance.now() + ms;
  while (performance.now() < end) {
    for (const part of document.querySelectorAll("[data-live]")) htmx.trigger(part, "live");
    await Promise.race([
      new Promise((done) => document.addEventListener("htmx:after:swap", done, { once: true })),
      new Promise((done) => setTimeout(done, 2000)),
    ]);
    window.__asked += 1;
  }
  return window.__asked;
}
"""
LIVE = "typeof window.__asked === 'number' && !document.body.classList.contains('offline')"


def main(seconds: float = 240) -> None:
    """Raises `AssertionError` when a tab was loaded anew, or did what no page may."""
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(Path(folder) / "data")
        stack.start()
        over = threading.Event()
        try:
            key = a_key(stack)
            asking = [threading.Thread(target=ask, args=(stack, key, over)) for _ in range(BUSY)]
            for one in asking:
                one.start()
            watch(stack, key, seconds)
        finally:
            over.set()
            for one in asking:
                one.join()
            stack.stop()


def a_key(stack: Stack) -> str:
    """That of a member, who has an agent of the sandbox."""
    with stack.database() as db:
        text = keys.make(db, role="member", created_by="bench")[1]
    scout = {"name": "scout", "llm_config": {"provider": "sandbox"}}
    answer = stack.http.post(
        f"{stack.url}/agents", json=scout, headers={"Authorization": f"Bearer {text}"}, timeout=30
    )
    answer.raise_for_status()
    return text


def ask(stack: Stack, key: str, over: threading.Event) -> None:
    """One chat after another, until it is over; while the web process is away nobody is asked."""
    with requests.Session() as session:
        session.trust_env, session.headers["Authorization"] = False, f"Bearer {key}"
        while not over.is_set():
            try:
                session.post(f"{stack.url}/agents/agent:scout/chat", json={"message": "Hello"}, timeout=30)
            except requests.ConnectionError:
                over.wait(0.5)


def watch(stack: Stack, key: str, seconds: float) -> None:
    """Hold the tabs open, and say what they and the web processes hold."""
    with chromium() as browser:
        watched = opened(browser, f"http://{stack.host}:{stack.port}")
        sign_in(watched.page, key)
        tabs = [watched.page.context.new_page() for _ in PATHS]
        for tab, path in zip(tabs, PATHS, strict=True):
            tab.goto(path)
        started, killed = time.monotonic(), False
        while (passed := time.monotonic() - started) < seconds:
            asked = sum(hurry(tab) for tab in tabs)
            print(f"{passed:4.0f} s  {asked:6} times asked  {held(stack, tabs)}", flush=True)
            if not killed and passed > seconds / 2:
                killed = restart(stack, tabs)
        watched.page.context.close()


def hurry(tab: Page) -> int:
    """How often it has asked for its parts. In front, since nothing is drawn elsewhere."""
    tab.bring_to_front()
    return int(tab.evaluate(HURRY, ROUND_S * 1000 / len(PATHS)))


def restart(stack: Stack, tabs: list[Page]) -> bool:
    """Kill the web processes, and wait until every tab, still the same document, has its stream again."""
    stack.kill("gunicorn")
    stack.until(stack.ready, 60, "it is back")
    for tab in tabs:
        tab.wait_for_function(LIVE, timeout=60_000)
    print(
        "the web process was killed and is back; no tab was loaded anew, each has its stream again",
        flush=True,
    )
    return True


def held(stack: Stack, tabs: list[Page]) -> str:
    """Of each tab the JavaScript heap and the nodes, of the web processes the memory."""
    found = [f"{path} {heap(tab)}" for path, tab in zip(PATHS, tabs, strict=True)]
    return f"web {sum(map(resident, stack.pids('gunicorn'))):.0f} MB  " + "  ".join(found)


def heap(tab: Page) -> str:
    client = tab.context.new_cdp_session(tab)
    client.send("Performance.enable")
    client.send("HeapProfiler.collectGarbage")
    metrics: Any = client.send("Performance.getMetrics")["metrics"]
    client.detach()
    of = {metric["name"]: metric["value"] for metric in metrics}
    return f"{of['JSHeapUsedSize'] / 1e6:.1f} MB {of['Nodes']:.0f}n {of['JSEventListeners']:.0f}l"


def resident(pid: int) -> float:
    """Megabytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096 / 1e6


if __name__ == "__main__":
    if not asked_for_help(__doc__, sys.argv[1:]):
        main(*map(float, sys.argv[1:]))
