"""Logs of a process as it writes them: one line an event, without what only its users may read."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.stack import ROOT

SECRET = "sk-0123456789-never-to-be-seen"
NAMES = "api_key X-Api-Key Authorization admin_password webhook_secret sealed_key messages system_prompt"
SAYING = """
import logging, sys
import structlog
from core.config import Settings
from core.log import configure

configure(Settings(app_env=sys.argv[1], log_level="info"), process="chat")
log, secret = structlog.get_logger("core.x"), sys.argv[2]
log.debug("not asked for")
with structlog.contextvars.bound_contextvars(job_id="j1", request_id="r1"):
    log.info("call.sent", provider="openai")
for name in sys.argv[3].split():
    log.info("field", **{name: secret, "asked": name})
for raised_by in (log, logging.getLogger("some.library")):
    try:
        raise ValueError(f"cannot parse {secret}")
    except ValueError:
        raised_by.exception("it broke")
logging.getLogger("some.library").warning("said by %s", "a library")
logging.getLogger("urllib3").info("a request to https://api.example.com/?key=%s", secret)
"""


def said(app_env):
    script = [sys.executable, "-c", SAYING, app_env, SECRET, NAMES]
    return subprocess.run(script, cwd=ROOT, capture_output=True, text=True, check=True)


@pytest.fixture(scope="module")
def lines():
    """What a process in production says."""
    done = said("production")
    assert done.stderr == ""
    return [json.loads(line) for line in done.stdout.splitlines()]


def of(lines, event):
    return [line for line in lines if line["event"] == event]


def test_a_line_says_who_when_and_for_which_job(lines):
    (line,) = of(lines, "call.sent")
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "call.sent",
        "level": "info",
        "process": "chat",
        "provider": "openai",
        "job_id": "j1",
        "request_id": "r1",
    }


def test_what_is_below_the_level_is_not_said(lines):
    assert of(lines, "not asked for") == []


def test_a_field_that_is_named_like_a_secret_is_blanked(lines):
    blanked = of(lines, "field")
    assert {line["asked"]: line[line["asked"]] for line in blanked} == dict.fromkeys(
        NAMES.split(), "[hidden]"
    )


def test_of_an_exception_its_type_and_its_place_are_said_but_not_its_text(lines):
    ours, a_librarys = of(lines, "it broke")
    for line in (ours, a_librarys):
        assert line["error"] == "ValueError"
        (place,) = line["where"]
        assert place.startswith("<string>:")


def test_libraries_go_the_same_way_and_the_talkative_ones_are_quiet(lines):
    (line,) = of(lines, "said by a library")
    assert (line["level"], line["process"]) == ("warning", "chat")
    assert not [line for line in lines if "example.com" in line["event"]]


@pytest.mark.parametrize("app_env", ["production", "development"])
def test_the_secret_is_on_no_line(app_env):
    done = said(app_env)
    assert "call.sent" in done.stdout
    assert SECRET not in done.stdout + done.stderr


def test_letters_that_the_output_cannot_write_are_said_by_their_numbers():
    script = f"{SAYING}\nlog.info('said', word='Zürich')"
    command = [sys.executable, "-c", script, "development", SECRET, NAMES]
    ascii_alone = {"PATH": os.environ["PATH"], "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, cwd=ROOT, env=ascii_alone, capture_output=True, text=True, check=True)
    assert "Z\\xfcrich" in done.stdout


def test_that_nobody_reads_them_any_more_fails_nobody():
    script = "import contextlib, os\nread, write = os.pipe()\nos.close(read)\nos.dup2(write, 1)\n"
    script += f"{SAYING}\nwith contextlib.suppress(OSError):\n    sys.stdout.close()\n"
    script += "log.info('still here')\nos._exit(7)"
    command = [sys.executable, "-c", script, "production", SECRET, NAMES]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode == 7
