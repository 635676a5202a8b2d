"""The embedded MongoDB-compatible server keeps to one processor, and is the process that was started."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from core.embedded import one_core
from tests.stack import ROOT

SEEN = "import os, sys; print(os.getpid(), len(os.sched_getaffinity(0)), *sys.argv[1:])"
linux = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="only Linux lets a process choose")


@linux
def test_the_program_is_the_process_that_was_started_on_one_processor_of_those_it_may_have():
    command = one_core.keeping([sys.executable, "-c", SEEN, "a b", "--c"])
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    said, _ = process.communicate(timeout=60)
    assert said.split() == [str(process.pid), "1", "a", "b", "--c"]


@pytest.mark.parametrize("lack", [AttributeError, OSError])
def test_where_no_processor_can_be_chosen_it_has_them_all(monkeypatch, lack):
    became = []
    monkeypatch.setattr(os, "execv", lambda *what: became.append(what))
    if lack is AttributeError:
        monkeypatch.delattr(os, "sched_setaffinity", raising=False)
    else:
        monkeypatch.setattr(os, "sched_setaffinity", refuse, raising=False)
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)
    one_core.main("/bin/true", "a")
    assert became == [("/bin/true", ("/bin/true", "a"))]


def refuse(*_):
    raise OSError
