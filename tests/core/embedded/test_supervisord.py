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


@pytest.mark.parametrize("script", [FORKED, SIGNALLED], ids=["forked", "signalled"])
def test_no_signal_is_lost_or_slept_through(script):
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=LONG_S, check=False
    )
    assert (ended.stdout, ended.stderr, ended.returncode) == ("done\n", "", 0)
