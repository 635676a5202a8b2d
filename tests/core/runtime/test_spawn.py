"""Starting a program: what it finds around itself, and what is written down of it."""

import os
import resource
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from core.runtime import launch, processes, spawn
from tests.core.runtime.conftest import until

REPORT = """
import os, resource, sys
status = open("/proc/self/status").read()
print(dict(os.environ), os.getcwd(), os.getsid(0) == os.getpid(), os.umask(0),
      resource.getrlimit(resource.RLIMIT_CORE), resource.getrlimit(resource.RLIMIT_NOFILE)[0],
      "NoNewPrivs:\\t1" in status, sys.stdin.read() == "", sorted(os.listdir("/proc/self/fd")), sep="\\n")
"""


def ran(folder, code=REPORT, **options):
    """What a program says, line by line, once it has ended."""
    command = [sys.executable, "-ISc", code]
    child = spawn.start(folder, command, {"LANG": "C.UTF-8"}, mark=f"{folder.path}/x", **options)
    child.wait(60)
    return folder.console.read_text().splitlines()


@pytest.fixture
def secret(monkeypatch):
    monkeypatch.setenv("LLM_ENCRYPTION_KEY", "of-the-worker")


def test_it_finds_nothing_of_our_environment_and_no_open_file(folder, secret):
    environment, where, leads, umask, *_, closed, files = ran(folder)
    assert eval(environment) == {"LANG": "C.UTF-8", "VUTLER_INSTANCE": f"{folder.path}/x"}  # noqa: S307
    assert (where, leads, umask) == (str(folder.box), "True", str(0o077))
    assert closed == "True"
    assert eval(files) == ["0", "1", "2", "3"]  # noqa: S307 - the fourth reads the directory


def test_without_a_wrapper_its_files_are_bounded_and_it_gains_no_privileges(folder):
    _, _, _, _, core, open_files, no_new_privileges, *_ = ran(folder)
    assert core == "(0, 0)"
    assert int(open_files) <= launch.OPEN_FILES
    assert no_new_privileges == "True"


def test_a_wrapper_stands_in_front_and_is_left_to_set_the_limits(folder):
    wrapper = "/usr/bin/env BOX={box} 'PORT={port}'"
    fills = {"box": str(folder.box), "port": "18900"}
    environment, *_, open_files, no_new_privileges, _, _ = ran(folder, wrapper=wrapper, fills=fills)
    assert f"'BOX': '{folder.box}'" in environment
    assert "'PORT': '18900'" in environment
    assert int(open_files) == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert no_new_privileges == "False"


def test_a_wrapper_can_name_each_variable():
    words = spawn.in_front("docker run {env} image", {}, {"B": "2", "A": "1"})
    assert words == ["docker", "run", "-e", "A", "-e", "B", "image"]


@pytest.mark.parametrize("wrapper", ["bwrap {nonsense}", "bwrap 'open", "bwrap {", "bwrap {0}"])
def test_a_wrapper_that_cannot_be_used_is_refused(wrapper):
    with pytest.raises(ValueError):
        spawn.in_front(wrapper, {"box": "", "port": ""}, {})


def test_who_it_is_stands_in_a_file_before_it_begins(folder):
    code = f"print(open({str(folder.pid_file)!r}).read(), flush=True); import time; time.sleep(60)"
    child = spawn.start(folder, [sys.executable, "-ISc", code], {}, mark=f"{folder.path}/x")
    said = until(lambda: folder.console.read_text())
    assert processes.noted(folder.pid_file) == processes.process(child.pid)
    assert said.split()[0] == str(child.pid)
    assert processes.marked(f"{folder.path}/") == {f"{folder.path}/x": {processes.process(child.pid)}}
    child.kill()
    child.wait()


def test_what_it_prints_is_private_and_added_to_what_is_there(folder):
    ran(folder, "print('one')")
    assert ran(folder, "print('two')") == ["one", "two"]
    assert stat.S_IMODE(folder.console.stat().st_mode) == 0o600


def test_a_program_that_cannot_be_run_says_so(folder):
    child = spawn.start(folder, ["/no/such/program"], {}, mark=f"{folder.path}/x")
    assert child.wait(60) == launch.CANNOT_RUN
    assert "vutler: /no/such/program cannot be run: No such file" in folder.console.read_text()


def test_it_lives_on_when_who_started_it_is_killed(folder):
    code = f"""
import time
from core.runtime import spawn
from core.runtime.folder import Folder
from pathlib import Path
spawn.start(Folder(Path({str(folder.path)!r})), [{sys.executable!r}, "-ISc", "import time; time.sleep(60)"],
            {{}}, mark={f"{folder.path}/x"!r})
print("started", flush=True)
time.sleep(60)
"""
    root = Path(__file__).parents[3]
    starter = subprocess.Popen([sys.executable, "-c", code], cwd=root, stdout=subprocess.PIPE)
    assert starter.stdout.readline() == b"started\n"
    one = until(lambda: processes.noted(folder.pid_file))
    starter.kill()
    starter.wait()
    starter.stdout.close()
    assert processes.alive(one)
    assert os.getsid(one.pid) == one.pid
