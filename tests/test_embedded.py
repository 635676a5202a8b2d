"""`make run` as a newcomer meets it, and what is left of it afterwards: real processes, really killed."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import redis
import requests
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from core.embedded import checks, stores
from core.embedded import environment as seen_by
from core.embedded.stores import StartFailed
from tests.factory import queued
from tests.given import NAMES
from tests.stack import ADMIN_KEY, ROOT, Stack, all_processes, command, free_ports, launching

PROGRAMS = {
    "valkey": ("valkey-server",),
    "mongodb": ("secantusd", "--storage-path"),
    "web": ("gunicorn",),
    "chat": ("workers.main", "chat"),
    "isolation": ("workers.main", "isolation"),
    "scheduler": ("scheduler.py",),
    "sandbox": ("core.sandbox",),
}

ALL_BUT_WEB = ("chat", "isolation", "drive", "scheduler", "sandbox", "runtime")

ENDS_ARE_TOLD_IN = ("web.log", "supervisord.log")
KILLED = ("graceful timeout", "WORKER TIMEOUT", "killing 'web'", "was sent SIGKILL")
"""What gunicorn and supervisor say of a process that did not end in time."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A data directory with a blank in its name, that several starts share."""
    return tmp_path_factory.mktemp("embedded") / "my data"


@pytest.fixture(scope="module")
def stack(folder):
    """Started without any setting that a newcomer would not have."""
    stack = Stack(folder, embedded=NAMES, ADMIN_API_KEY="")
    stack.start()
    stack.http.headers["Authorization"] = f"Bearer {(folder / 'admin.key').read_text().strip()}"
    yield stack
    stack.stop()


def living(folder):
    """Processes that run for this data directory, whoever their parent is."""
    return [
        pid
        for pid, _ in all_processes()
        if f"DATA_DIR={folder}" in environment(pid) or f"{folder}/" in command(pid)
    ]


def environment(pid):
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/environ").read_text().split("\0")
    return []


def refusal(*, without=(), **environment):
    """What the launcher says when it does not start; it must be one line."""
    ended = subprocess.run(
        [sys.executable, *launching(without)],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith("vutler: ")
    assert ended.stderr.count("\n") == 1
    return ended.stderr


def pasted(stack):
    """Runs the line that was printed, in another folder and with nothing of our environment."""
    terminal = Path(stack.log.name)
    stack.until(lambda: "\ncurl " in terminal.read_text(), "the line is printed")
    (line,) = [line for line in terminal.read_text().splitlines() if line.startswith("curl ")]
    ran = subprocess.run(
        ["sh", "-c", line],
        cwd="/",
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return json.loads(ran.stdout)


def test_the_printed_line_works_when_pasted(stack):
    job = pasted(stack)
    assert job["status"] == "succeeded"
    assert "sandbox" in json.dumps(job["result"]).lower()


def test_secrets_are_readable_by_their_owner_alone(stack, folder):
    for name in ("secret.key", "admin.key", "valkey.password", "mongodb.password", "valkey/valkey.conf"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600


def test_the_stores_take_nobody_without_their_password(stack):
    anybody = stores.mongodb_uri(stack.port + 2)
    with MongoClient(anybody) as mongo, pytest.raises(OperationFailure, match="requires authentication"):
        mongo.vutler["keys"].insert_one({"_id": "mine", "role": "admin"})
    with redis.Redis(port=stack.port + 1) as client, pytest.raises(redis.AuthenticationError):
        client.flushall()


def test_no_password_stands_on_a_command_line_or_in_an_environment(stack, folder):
    for store in ("valkey", "mongodb"):
        password = stack.settings().password_of(store)
        for pid in stack.pids():
            assert password not in command(pid)
            assert password not in "".join(environment(pid))


@pytest.fixture(scope="module")
def production(tmp_path_factory):
    """A stack of its own, with secrets of all kinds."""
    stack = Stack(
        tmp_path_factory.mktemp("production") / "data",
        embedded=NAMES,
        without=("isolation", "drive", "runtime"),
        APP_ENV="production",
        **SECRET,
    )
    stack.start()
    yield stack
    stack.stop()


SECRET = {
    "ADMIN_API_KEY": ADMIN_KEY,
    "LLM_ENCRYPTION_KEY": secrets.token_hex(32),
    "MANAGED_LLM_KEYS": '{"openai": "sk-managed-0123456789"}',
    "SOMETHING_ELSE": "that belongs to somebody else",
}


def test_each_process_sees_the_settings_that_it_needs(production):
    all_but_admin = set(SECRET) - {"ADMIN_API_KEY", "SOMETHING_ELSE"}
    for program, seen in (
        ("valkey", set()),
        ("mongodb", set()),
        ("sandbox", set()),
        ("scheduler", {"LLM_ENCRYPTION_KEY"}),
        ("chat", all_but_admin),
        ("web", all_but_admin | {"ADMIN_API_KEY"}),
    ):
        (pid, *_) = production.pids(*PROGRAMS[program])
        names = {variable.partition("=")[0] for variable in environment(pid)}
        assert names & set(SECRET) == seen, program


def test_production_opens_no_port_of_this_host(production):
    config = {"provider": "openai", "model": "tiny", "custom_endpoint": "http://127.0.0.1:11434/v1"}
    made = production.http.post(f"{production.url}/agents", json={"name": "a", "llm_config": config})
    assert made.status_code == 422
    assert made.json()["code"] == "endpoint_forbidden"
    assert "Local models" not in production.said()


@pytest.mark.parametrize("program", ["web", "chat", "isolation", "drive", "runtime"])
def test_who_needs_the_drives_bucket_sees_its_credentials(program):
    assert seen_by.kept(program, ["AWS_ACCESS_KEY_ID", "SOMETHING_ELSE"]) == ["AWS_ACCESS_KEY_ID"]


@pytest.mark.parametrize("name", ["valkey.password", "mongodb.password", "admin.key"])
def test_a_secret_that_others_may_read_is_named(tmp_path, name):
    (tmp_path / name).write_text("known")
    (tmp_path / name).chmod(0o644)
    assert f"chmod 600 {tmp_path / name}" in refusal(DATA_DIR=str(tmp_path), PORT=str(free_ports()))


def test_logs_are_on_the_terminal_and_in_a_file_each(stack, folder):
    for name in PROGRAMS:
        assert (folder / "log" / f"{name}.log").exists()
    for log in (folder / "log" / "scheduler.log", Path(stack.log.name)):
        stack.until(lambda log=log: "scheduler.ready" in log.read_text(), f"it is in {log.name}")


def test_everything_is_on_loopback(stack):
    for port in range(stack.port, stack.port + 4):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.2", port)):
            continue
        raise AssertionError(f"port {port} listens on more than 127.0.0.1")


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="only Linux lets a process choose")
def test_the_mongodb_compatible_server_keeps_to_one_processor(stack):
    (store,) = stack.pids("secantusd-py")
    assert len(os.sched_getaffinity(store)) == 1
    (other,) = stack.pids("valkey-server")
    assert os.sched_getaffinity(other) == os.sched_getaffinity(0)


def test_a_second_start_in_the_same_folder_is_refused(stack, folder):
    assert "runs in" in refusal(DATA_DIR=str(folder), PORT=str(free_ports()))


@pytest.mark.parametrize("offset", [0, 1, 2, 3])
def test_a_port_that_is_taken_is_named(tmp_path, offset):
    port = free_ports()
    with socket.create_server(("127.0.0.1", port + offset)):
        said = refusal(DATA_DIR=str(tmp_path / "other"), PORT=str(port))
    assert f"port {port + offset} is taken" in said


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    said = refusal(DATA_DIR=str(tmp_path / "file" / "data"))
    assert "DATA_DIR" in said
    assert "cannot be written" in said


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("PORT", "abc"),
        ("PORT", "65535"),
        ("LEASE_S", "-1"),
        ("CONTENT_RETENTION", "sometimes"),
        ("HOST", "203.0.113.1"),
        ("HOST", "no such host"),
        ("MONGODB_URI", "postgres://somewhere"),
        ("REDIS_URL", "somewhere"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(tmp_path, setting, value):
    given = {"PORT": str(free_ports()), "DATA_DIR": str(tmp_path / "data"), setting: value}
    assert setting in refusal(**given)


def test_production_does_not_start_with_secrets_that_could_be_guessed(tmp_path):
    given = {"APP_ENV": "production", "DATA_DIR": str(tmp_path), "PORT": str(free_ports())}
    assert "LLM_ENCRYPTION_KEY" in refusal(**given)
    strong = {**given, "LLM_ENCRYPTION_KEY": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="}
    assert "ADMIN_API_KEY" in refusal(**strong, ADMIN_API_KEY="short")
    assert "short" not in refusal(**strong, ADMIN_API_KEY="short")


def test_a_server_that_does_not_come_up_is_named_and_nothing_stays(tmp_path):
    port, folder = free_ports(5), tmp_path / "data"
    said = refusal(
        DATA_DIR=str(folder),
        PORT=str(port),
        MONGODB_URI=f"mongodb://127.0.0.1:{port + 4}/",
        START_WITHIN_S="3",
        without=ALL_BUT_WEB,
    )
    assert "no answer from mongodb within 3 s" in said
    assert living(folder) == []


@pytest.mark.parametrize("version", [(3, 10, 14), (3, 14, 0)])
def test_another_python_is_refused(version):
    with pytest.raises(StartFailed, match=r"Python 3.11, 3.12 or 3.13 is needed, this is 3\.1"):
        checks.python(version)


@pytest.mark.parametrize("version", [(3, 11, 0), (3, 13, 9)])
def test_these_pythons_do(version):
    checks.python(version)


def test_make_says_so_when_there_is_no_python_for_it(tmp_path):
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copy(ROOT / "requirements.txt", tmp_path)
    made = subprocess.run(
        ["make", "run", "PYTHON="], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert made.returncode != 0
    assert "vutler: Python 3.11, 3.12 or 3.13 is needed, and none was found" in made.stderr
    assert not (tmp_path / ".venv").exists()


def test_an_idle_connection_does_not_hold_up_the_end_of_web(stack):
    """A browser or an SDK keeps its connection; gunicorn's own worker waits 30 s for it."""
    assert stack.http.get(f"{stack.url}/agents").status_code == 200
    before = stack.kill("gunicorn", how=signal.SIGTERM)
    stack.until(lambda: not set(stack.pids("gunicorn")) & set(before), "it has ended")
    assert "graceful timeout" not in (stack.data_dir / "log" / "web.log").read_text()
    stack.until(stack.ready, "it is started again")


def test_whatever_is_killed_is_started_again(stack):
    for words in PROGRAMS.values():
        before = stack.pids(*words)
        assert before, words
        os.kill(before[0], signal.SIGKILL)
        stack.until(
            lambda words=words, before=before: set(stack.pids(*words)) - set(before),
            f"{words} is started again",
        )
    stack.until(stack.ready, "all of it answers")
    assert pasted(stack)["status"] == "succeeded"


def test_a_killed_supervisor_leaves_nothing_behind(stack, folder):
    os.kill(stack.pids("supervisord", "-c")[0], signal.SIGKILL)
    assert stack.launcher.wait(60) == 1
    assert living(folder) == []
    assert "vutler: the supervisor ended" in stack.said()


def followed(stack):
    """The lines of a stream of events, of a job that nobody takes; the first event was told."""
    assert stack.http.post(f"{stack.url}/queues/chat/pause").status_code == 200
    (agent, *_) = stack.http.get(f"{stack.url}/agents").json()["items"]
    with stack.database() as db:
        job = queued(db, workspace_id="default", agent_id=agent["id"])
    stream = stack.http.get(f"{stack.url}/jobs/{job['_id']}/events", stream=True)
    lines = stream.iter_lines(chunk_size=1)
    assert next(line for line in lines if line.startswith(b"data:")).startswith(b'data: {"status": "queued"')
    return lines


def test_a_second_start_finds_its_data_again_and_ctrl_c_hangs_up_and_leaves_nothing_behind(stack, folder):
    stack.start()
    kept = stack.http.get(f"{stack.url}/jobs").json()["items"]
    assert len(kept) == 2
    assert {job["status"] for job in kept} == {"succeeded"}
    lines = followed(stack)
    logs = {log: log.stat().st_size for log in (folder / "log" / name for name in ENDS_ARE_TOLD_IN)}
    stack.launcher.send_signal(signal.SIGINT)
    with pytest.raises(requests.exceptions.ChunkedEncodingError):  # not at its end: it was hung up on
        list(lines)
    assert stack.launcher.wait(60) == 0
    assert living(folder) == []
    for log, size in logs.items():
        said = log.read_bytes()[size:].decode()
        assert not [words for words in KILLED if words in said], said


def test_a_launcher_that_is_killed_while_it_starts_leaves_nothing_behind(stack, folder):
    stack.launcher.terminate()
    stack.launcher.wait(90)
    stack.launch()
    stack.until(lambda: stack.pids("valkey-server"), "the first server runs", every=0.01)
    stack.launcher.kill()
    stack.launcher.wait()
    stack.until(lambda: not living(folder), "all have ended")


def test_with_stores_of_its_own_nothing_embedded_starts(tmp_path, db, settings):
    stack = Stack(
        tmp_path / "data",
        embedded=NAMES,
        without=ALL_BUT_WEB,
        MONGODB_URI=settings.mongodb_uri,
        MONGODB_DATABASE=db.name,
        REDIS_URL=settings.redis_url,
        HOST="127.0.0.2",
        LLM_ENCRYPTION_KEY="k" * 32,
    )
    stack.host = "127.0.0.2"
    stack.start()
    try:
        assert stack.pids("valkey-server") == []
        assert stack.pids("secantusd") == []
        address = f"http://127.0.0.2:{stack.port}/api/v1/agents"
        with pytest.raises(requests.ConnectionError):
            requests.get(address.replace("127.0.0.2", "127.0.0.1"), timeout=60)
        key = {"Authorization": f"Bearer {ADMIN_KEY}"}
        assert requests.get(address, headers=key, timeout=60).status_code == 200
        assert not (tmp_path / "data" / "admin.key").exists()
        assert ADMIN_KEY not in stack.said()
        assert "LLM_ENCRYPTION_KEY could be guessed" in (tmp_path / "data/log/web.log").read_text()
    finally:
        stack.stop()
    assert living(tmp_path / "data") == []
