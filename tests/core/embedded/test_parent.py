"""What a killed supervisor leaves behind is waited for, killed in the end, and not waited for for ever."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from core.embedded import parent


@pytest.fixture
def deaf():
    """A child that ends when it is killed, and by nothing else."""
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    child = subprocess.Popen([sys.executable, "-ISc", code])
    yield child
    child.kill()
    child.wait()


@pytest.fixture
def looked(monkeypatch):
    """Waits for no other child of these tests."""
    waitpid = os.waitpid

    def of(child):
        monkeypatch.setattr(os, "waitpid", lambda _, how: waitpid(child.pid, how))

    return of


def test_one_that_does_not_end_by_itself_is_killed(deaf, looked, monkeypatch):
    looked(deaf)
    monkeypatch.setattr(parent, "_kill_children", deaf.kill)
    parent.end_orphans(time.monotonic())
    assert not os.path.exists(f"/proc/{deaf.pid}")


def test_one_that_nothing_ends_is_left_behind(deaf, looked, monkeypatch):
    looked(deaf)
    monkeypatch.setattr(parent, "_kill_children", lambda: None)
    monkeypatch.setattr(parent, "KILLED_WITHIN_S", 0.2)
    parent.end_orphans(time.monotonic())
    assert deaf.poll() is None
