"""The entry of the command line: every command explains itself, and what is not done is one clear line."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing

import pytest

from core.cli import __main__ as cli
from core.cli.__main__ import PROGRAM
from core.cli.table import COMMANDS
from tests.proxy import Proxy
from tests.stack import ROOT


def test_it_is_started_as_the_help_says():
    program = [sys.executable, *PROGRAM.split()[1:], "--help"]
    done = subprocess.run(
        program, cwd=ROOT, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=True
    )
    for command in COMMANDS:
        assert command.words.split()[0] in done.stdout
        for example in command.examples:
            assert f"{PROGRAM} {example}\n" in done.stdout


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.words)
def test_a_command_explains_itself(run, command):
    code, lines, _ = run(*command.words.split(), "--help")
    assert code == 0
    assert command.help in " ".join(lines)
    assert lines[-len(command.examples) :] == [f"  {PROGRAM} {example}" for example in command.examples]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["keys"],
        ["drop"],
        ["keys", "create", "--role", "owner"],
        ["keys", "create", "--expires-in", "soon"],
        ["reprice", "--from", "2026-11-01"],
        ["reprice", "--from", "2026-11-01", "--to", "2026-11-31"],
    ],
)
def test_what_is_not_understood_is_refused(run, arguments):
    code, lines, errors = run(*arguments)
    assert (code, lines) == (2, [])
    assert "usage: " in errors


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("MONGODB_URI", "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=100"),
        ("MONGODB_URI", "postgres://secret-password@somewhere"),
        ("PORT", "abc"),
    ],
)
def test_what_stands_in_the_way_is_one_clear_line(run, setting, value):
    code, lines, errors = run("keys", "list", **{setting: value})
    assert (code, lines, errors.count("\n")) == (1, [], 1)
    assert errors.startswith("vutler: ")
    assert setting in errors
    assert "secret-password" not in errors


def test_a_store_that_is_there_and_too_slow_is_not_said_to_be_away(run, settings, monkeypatch):
    monkeypatch.setattr(cli, "ANSWERED_WITHIN_S", 0.5)
    with closing(Proxy(settings.mongodb_uri)) as proxy:
        proxy.hangs = True
        proxy.lose_reply_to(b"\x02find\x00", 99)
        code, lines, errors = run("keys", "list", MONGODB_URI=proxy.uri)
    assert proxy.lost
    assert (code, lines, errors.count("\n")) == (1, [], 1)
    assert errors.startswith("vutler: MongoDB is there, and did not answer within 0.5 s")


def test_a_database_of_a_later_version_is_left_alone(run, db):
    db.migrations.insert_one({"_id": 10_000})
    code, _, errors = run("keys", "create")
    assert (code, errors.count("\n")) == (1, 1)
    assert "of version 10000" in errors
    assert db["keys"].count_documents({}) == 0
