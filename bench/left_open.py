"""Pages left open beside a busy stack: `python -m bench.left_open [refreshes]`.

Chromium holds a window for each page that changes by itself. A chat is asked for every half second, and each
window asks for its live parts as soon as they are there, instead of once a second at most and only in the one
that has the focus: eight hours are 28,800 refreshes at most. Halfway the web processes are killed. At the
start and after each quarter is printed what each page holds after its garbage was collected (heap, nodes,
listeners), and what the web processes and the embedded store do.
"""

from __future__ import annotations

import math
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import requests
from playwright.sync_api import Page

from bench.choices import asked_for_help
from core.accounts import keys
from tests.dashboard.chromium import chromium, opened, sign_in
from tests.stack import Stack

PATHS = ("/", "/jobs", "/queues", "/agents")
ROUND = 100
QUARTERS = 4
PAUSE_S = 0.5
HURRY = """
(rounds) => { window.__hurrying = (async () => {
  for (let n = 0; n < rounds; n += 1) {
    const parts = [...document.querySelectorAll("[data-live]")];
    const swapped = new Promise((done) => {
      let left = parts.length;
      const over = () => {
        clearTimeout(late);
        document.removeEventListener("htmx:after:swap", one);
        done();
      };
      const one = () => {
        left -= 1;
        if (left === 0) over();
      };
      const late = setTimeout(over, 2000);
      document.addEventListener("htmx:after:swap", one);
    });
    for (const part of parts) htmx.trigger(part, "live");
    await swapped;
  }
  window.__asked = (window.__asked ?? 0) + rounds;
})(); }
"""
HURRIED = "window.__hurrying"
LIVE = "!document.body.classList.contains('offline')"
SAME = "window.__asked"


def main(refreshes: int = 28_800) -> None:
    """Raises `AssertionError` when a tab was loaded anew, or did what no page may."""
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(Path(folder) / "data")
        stack.start()
        try:
            key = a_key(stack)
            with asked(stack, key):
                watch(stack, key, refreshes)
        finally:
            stack.stop()


def a_key(stack: Stack) -> str:
    """That of a member, who has an agent of the sandbox."""
    with stack.database() as db:
        text = keys.make(db, role="member", created_by="bench")[1]
    scout = {"name": "scout", "llm_config": {"provider": "sandbox"}}
    answer = stack.http.post(
        f"{stack.url}/agents", json=scout, headers={"Authorization": f"Bearer {text}"}, timeout=120
    )
    answer.raise_for_status()
    return text


@contextmanager
def asked(stack: Stack, key: str) -> Iterator[None]:
    """Meanwhile chats are asked for, with a pause, or a full store would be what is measured."""
    over = threading.Event()

    def ask() -> None:
        with requests.Session() as session:
            session.trust_env, session.headers["Authorization"] = False, f"Bearer {key}"
            while not over.wait(PAUSE_S):
                with suppress(requests.ConnectionError):  # The web process is away.
                    session.post(
                        f"{stack.url}/agents/agent:scout/chat", json={"message": "Hello"}, timeout=120
                    )

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield
    finally:
        over.set()
        asking.join()


def watch(stack: Stack, key: str, refreshes: int) -> None:
    """Hold the tabs open, and say what they and the web processes hold."""
    with chromium() as browser:
        tabs = [opened(browser, f"http://{stack.host}:{stack.port}").page for _ in PATHS]
        for tab, path in zip(tabs, PATHS, strict=True):
            sign_in(tab, key)
            tab.goto(path)
        hurry(tabs, ROUND * len(tabs))
        print(f"{'start':>9}  {held(stack, tabs)}", flush=True)
        for quarter in range(1, QUARTERS + 1):
            hurry(tabs, refreshes // QUARTERS)
            print(f"{quarter} of {QUARTERS}".rjust(9), held(stack, tabs), sep="  ", flush=True)
            if quarter == QUARTERS // 2:
                restart(stack, tabs)
        counted = [tab.evaluate(SAME) for tab in tabs]
        assert min(counted) >= refreshes // len(tabs), f"a tab was loaded anew: {counted}"
        print(f"{sum(counted):9} refreshes; no tab was loaded anew", flush=True)
        for tab in tabs:
            tab.context.close()


def hurry(tabs: list[Page], refreshes: int) -> None:
    """All at once, each in a window of its own, since nothing is drawn behind others."""
    for _ in range(math.ceil(refreshes / (ROUND * len(tabs)))):
        for tab in tabs:
            tab.evaluate(HURRY, ROUND)
        for tab in tabs:
            tab.evaluate(HURRIED)


def restart(stack: Stack, tabs: list[Page]) -> None:
    """Kill the web processes, and wait until every tab has its stream again."""
    stack.kill("gunicorn")
    stack.until(stack.ready, "it is back")
    for tab in tabs:
        # `wait_for_function` evaluates in the page, which its policy forbids, and leaves 13 listeners there.
        stack.until(lambda tab=tab: tab.evaluate(LIVE), "it has its stream")
    print("the web processes were killed and are back; each tab has its stream again", flush=True)


def held(stack: Stack, tabs: list[Page]) -> str:
    """Of each tab the JavaScript heap, the nodes and the listeners, of the processes the memory."""
    processes = (("web", "gunicorn"), ("store", "secantusd"))
    memory = [f"{name} {sum(map(resident, stack.pids(pattern))):.0f} MB" for name, pattern in processes]
    return "  ".join(memory + [f"{path} {heap(tab)}" for path, tab in zip(PATHS, tabs, strict=True)])


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
        main(*map(int, sys.argv[1:]))
