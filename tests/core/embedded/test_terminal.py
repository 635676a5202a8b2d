"""The logs of all processes on one terminal."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from core.embedded.terminal import Tail
from tests.waiting import until


@pytest.fixture
def log(tmp_path):
    log = tmp_path / "web.log"
    log.write_text("before\n")
    return log


@pytest.fixture
def out():
    return io.StringIO()


@pytest.fixture
def tail(tmp_path, log, out):
    tail = Tail(tmp_path, ["web", "scheduler"], out)
    tail.start()
    yield tail
    tail.stop()


def test_what_is_written_is_printed_with_the_name_of_its_process(tail, log, out):
    with log.open("a") as file:
        file.write("one\ntw")
    until(lambda: out.getvalue() == "web       | one\n", "the whole line is there")
    with log.open("a") as file:
        file.write("o\n")
    (log.parent / "scheduler.log").write_text("begun\n")
    until(lambda: "web       | two\n" in out.getvalue(), "the rest is there")
    until(lambda: "scheduler | begun\n" in out.getvalue(), "a log that was made later is read")


def test_a_log_that_is_rotated_is_followed_on(tail, log, out):
    log.rename(log.with_suffix(".log.1"))
    log.write_text("anew\n")
    until(lambda: "anew" in out.getvalue(), "the new file is read")


def test_a_log_that_is_away_when_it_is_opened_is_read_at_the_next_look(tail, log, out, monkeypatch):
    opened, missed = Path.open, []

    def away_once(path, *how):
        if not missed:
            missed.append(path)
            raise FileNotFoundError(path)
        return opened(path, *how)

    monkeypatch.setattr(Path, "open", away_once)
    with open(log, "a") as file:
        file.write("one\n")
    until(lambda: "one" in out.getvalue(), "it is read")
    assert missed


def test_what_is_there_at_the_stop_is_printed(tmp_path, log, out):
    tail = Tail(tmp_path, ["web"], out)
    with log.open("a") as file:
        file.write("last\n")
    tail.stop()
    assert out.getvalue() == "web | last\n"
