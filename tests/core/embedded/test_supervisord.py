"""The supervisor's own process: what it starts hears every signal, and it acts on each at once."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.stack import ROOT
from tests.waiting import LONG_S

FORKED = """
import os, signal
from core.embedded import supervisord

signal.signal(signal.SIGTERM, lambda *_: None)
supervisord.hear_from_the_first_moment()
for _ in range(20):
    pid = os.fork()
    if pid == 0:
        os.execvp("sleep", ["sleep", "60"])
    os.kill(pid, signal.SIGTERM)
    _, ended = os.waitpid(pid, 0)
    assert os.WTERMSIG(ended) == signal.SIGTERM, ended
os.kill(os.getpid(), signal.SIGTERM)
print("done")
"""
SIGNALLED = """
import signal, subprocess
from core.embedded.supervisord import Prompt

poller = Prompt(None)
signal.signal(signal.SIGCHLD, lambda *_: None)
assert poller.poll(600) == ([], [])
for _ in range(5):
    ended = subprocess.Popen(["true"])
    for _ in ("for the signal", "for what there is to do after it"):
        assert poller.poll(600) == ([], [])
    ended.wait()
print("done")
"""


GATHERED = """
import os, select, signal, subprocess
from core.embedded import supervisord

def gathers(read, *rest):
    os.write(end, b"second")
    return chosen(read, [], [], 0)

poller = supervisord.Prompt(None)
signal.signal(signal.SIGCHLD, lambda *_: None)
poller.poll(0)
out, end = os.pipe()
poller.register_readable(out)
os.write(end, b"first")
chosen, select.select = select.select, gathers
assert poller.poll(600) == ([out], [])
assert os.read(out, 100) == b"first"
assert poller.poll(600) == ([out], [])
assert os.read(out, 100) == b"second", "it looked before it had waited"
select.select, supervisord.GATHERED_S = chosen, 600
ended = subprocess.Popen(["true"])
assert poller.poll(600) == ([], [])
ended.wait()
print("done")
"""


@pytest.mark.parametrize("script", [FORKED, SIGNALLED, GATHERED], ids=["forked", "signalled", "gathered"])
def test_no_signal_is_lost_or_slept_through_and_what_is_written_is_gathered(script):
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=LONG_S, check=False
    )
    assert (ended.stdout, ended.stderr, ended.returncode) == ("done\n", "", 0)
