"""Who is who among the processes of this machine."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from core.runtime import processes
from core.runtime.processes import MARK, Process
from tests.core.runtime.conftest import until

SLEEP = [sys.executable, "-ISc", "import time; time.sleep(60)"]
WITH_CHILD = (
    "import subprocess, sys, time; subprocess.Popen({}, **{}); print('born', flush=True); time.sleep(60)"
)


@pytest.fixture
def start():
    """Starts a sleeper of a mark; all of them are killed in the end."""
    started = []

    def start(mark="m/1", command=SLEEP, **more):
        env = {MARK: mark}
        one = subprocess.Popen(command, env=env, start_new_session=True, stdout=subprocess.PIPE, **more)
        started.append(one)
        return one

    yield start
    for marked in processes.marked("m/").values():
        processes.send(marked, signal.SIGKILL)
    for one in started:
        one.kill()
        one.wait()
        one.stdout.close()


def parent_of(start, **options):
    """A process that has a child, once it has."""
    one = start(command=[sys.executable, "-ISc", WITH_CHILD.format(SLEEP, options)])
    assert one.stdout.readline() == b"born\n"
    return one


def test_a_process_is_known_by_its_pid_and_its_start(start):
    found = processes.process(start().pid)
    assert processes.alive(found)
    assert not processes.alive(Process(found.pid, found.started + 1))


def test_what_has_ended_but_was_not_waited_for_is_dead(start):
    one = start()
    found = processes.process(one.pid)
    one.kill()
    os.waitid(os.P_PID, one.pid, os.WEXITED | os.WNOWAIT)
    assert os.path.exists(f"/proc/{one.pid}")
    assert processes.process(one.pid) is None
    assert not processes.alive(found)
    assert one.pid not in processes.everybody()


def test_who_has_lost_its_first_thread_lives_on_in_the_others(start):
    code = (
        "import ctypes, threading, time; threading.Thread(target=time.sleep, args=(60,)).start();"
        " print('born', flush=True); ctypes.CDLL(None).pthread_exit(None)"
    )
    one = start(command=[sys.executable, "-ISc", code])
    assert one.stdout.readline() == b"born\n"
    until(lambda: ") Z" in Path(f"/proc/{one.pid}/stat").read_text())
    assert processes.alive(processes.process(one.pid))


def test_a_signal_reaches_the_very_process_and_no_other(start):
    one = start()
    found = processes.process(one.pid)
    assert processes.send([Process(found.pid, found.started + 1)], signal.SIGKILL) == 0
    assert one.poll() is None
    assert processes.send([found], signal.SIGKILL) == 1
    assert one.wait(60) == -signal.SIGKILL
    assert processes.send([found], signal.SIGKILL) == 0


def test_processes_are_found_by_their_mark(start):
    mine, other = start("m/h1/a1/x"), start("m/h1/a2/y")
    start("n/h1/a1/z")
    found = until(lambda: (m := processes.marked("m/h1/")) and len(m) == 2 and m)
    assert {mark: {one.pid for one in those} for mark, those in found.items()} == {
        "m/h1/a1/x": {mine.pid},
        "m/h1/a2/y": {other.pid},
    }


def test_a_mark_in_the_midst_of_another_variable_marks_nothing(start):
    start(mark="", command=["/usr/bin/env", f"OTHER=x{MARK}=m/fake", *SLEEP])
    real = start("m/real")
    assert until(lambda: processes.marked("m/")).keys() == {"m/real"}
    assert real.poll() is None


def test_a_family_is_whatever_a_process_started_even_in_another_session(start):
    plain, away, alone = parent_of(start), parent_of(start, start_new_session=True), start()
    family = processes.family([processes.process(plain.pid), processes.process(away.pid)])
    assert len(family) == 4
    assert alone.pid not in {one.pid for one in family}


def test_who_has_lost_its_parent_is_still_of_the_family_by_its_session(start):
    """A child of a child, whose own parent has ended: it has another parent now, and the same session."""
    twice = f"import os, subprocess; os.fork() or (subprocess.Popen({SLEEP}), os._exit(0)); os.wait()"
    code = f"{twice}; print('born', flush=True); import time; time.sleep(60)"
    one = start(command=[sys.executable, "-ISc", code])
    assert one.stdout.readline() == b"born\n"
    leader = processes.process(one.pid)
    family = processes.family([leader])
    parents = {processes.stat(each.pid).parent for each in family - {leader}}
    assert len(family) == 2
    assert one.pid not in parents


def test_nobody_is_of_the_family_of_the_dead(start):
    one = start()
    found = processes.process(one.pid)
    assert processes.family([Process(found.pid, found.started - 1)]) == set()


def test_memory_and_time_are_those_of_all_together(start):
    hungry = [sys.executable, "-ISc", "x = bytearray(b'1') * 40_000_000; print('full', flush=True); input()"]
    one, two = (start(command=hungry, stdin=subprocess.PIPE) for _ in range(2))
    for each in (one, two):
        assert each.stdout.readline() == b"full\n"
    both = [processes.process(one.pid), processes.process(two.pid)]
    assert 80 < processes.memory_mb(both) < 160
    assert processes.memory_mb(both) > 1.9 * processes.memory_mb(both[:1])
    assert processes.cpu_s(both) >= processes.cpu_s(both[:1])
    for each in (one, two):
        each.stdin.close()


def test_the_dead_use_nothing(start):
    one = start()
    found = processes.process(one.pid)
    one.kill()
    one.wait()
    assert (processes.memory_mb([found]), processes.cpu_s([found])) == (0, 0)


def test_what_cannot_be_read_as_a_process_is_none(tmp_path):
    file = tmp_path / "pid"
    assert processes.noted(file) is None
    for text in ("", "12", "x y", "1 2 3"):
        file.write_text(text)
        assert processes.noted(file) is None
    file.write_text("12 345")
    assert processes.noted(file) == Process(12, 345)


def test_the_machine_tells_its_memory_and_its_boot():
    assert processes.available_mb() > 10
    assert processes.boot() == processes.boot() != ""
