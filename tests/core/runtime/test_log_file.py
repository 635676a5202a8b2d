"""A log that a process appends to by itself."""

import os
import stat

import pytest

from core.runtime import log_file


@pytest.fixture
def log(tmp_path):
    return tmp_path / "console.log"


def lines(first, last):
    return "".join(f"line {n}\n" for n in range(first, last))


def test_only_its_owner_can_read_it_also_when_it_was_there_before(log):
    log.write_text("before\n")
    log.chmod(0o644)
    with log_file.opened(log) as out:
        out.write(b"after\n")
    assert log.read_text() == "before\nafter\n"
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_a_link_is_not_followed(log, tmp_path):
    log.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError):
        log_file.opened(log)
    assert not (tmp_path / "elsewhere").exists()


def test_a_small_log_is_left_alone(log):
    log.write_text(lines(0, 10))
    assert not log_file.rotate(log, 1000)
    assert not log_file.rotate(log.with_name("absent"), 1000)
    assert log.read_text() == lines(0, 10)


def test_a_large_log_is_cut_off_while_its_process_goes_on_writing(log):
    with log_file.opened(log) as out:
        out.write(lines(0, 1000).encode())
        assert log_file.rotate(log, 500)
        out.write(b"next\n")
    kept = log.with_name("console.log.1")
    assert log.read_text() == "next\n"
    assert kept.stat().st_size == 500
    assert kept.read_text().endswith("line 999\n")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_however_often_it_is_cut_off_two_files_stay(log):
    with log_file.opened(log) as out:
        for n in range(3):
            out.write(lines(n * 100, n * 100 + 100).encode())
            assert log_file.rotate(log, 500)
    assert sorted(os.listdir(log.parent)) == ["console.log", "console.log.1"]
    assert log.with_name("console.log.1").read_text().endswith("line 299\n")


@pytest.mark.parametrize("n", [0, 1, 5, 10, 50])
def test_the_tail_is_the_last_lines(log, n):
    log.write_text(lines(0, 10))
    found, position = log_file.tail(log, n)
    assert found == [f"line {n}" for n in range(10)][-n:] if n else found == []
    assert position == log.stat().st_size


def test_the_tail_goes_back_into_what_was_cut_off(log):
    log.with_name("console.log.1").write_text(lines(0, 5))
    log.write_text(lines(5, 7))
    assert log_file.tail(log, 4)[0] == ["line 3", "line 4", "line 5", "line 6"]


def test_the_tail_of_a_long_file_is_read_from_its_end(log):
    log.write_text(lines(0, 100_000))
    assert log_file.tail(log, 3)[0] == ["line 99997", "line 99998", "line 99999"]


def test_a_line_without_an_end_is_bounded(log):
    log.write_text("x" * 3_000_000)
    found, _ = log_file.tail(log, 2)
    assert [len(line) for line in found] == [log_file.LONGEST_LINE]


def test_what_comes_is_read_line_by_line(log):
    log.write_text("one\ntw")
    found, position = log_file.since(log, 0)
    assert found == ["one"]
    assert log_file.since(log, position) == ([], position)
    with log.open("a") as out:
        out.write("o\nthree\n")
    assert log_file.since(log, position)[0] == ["two", "three"]


def test_who_follows_a_log_that_is_cut_off_goes_on_with_its_beginning(log):
    log.write_text(lines(0, 100))
    _, position = log_file.since(log, 0)
    log.write_text("anew\n")
    assert log_file.since(log, position)[0] == ["anew"]


def test_no_log_is_no_lines(log):
    assert log_file.tail(log, 5) == ([], 0)
    assert log_file.since(log, 0) == ([], 0)


def test_bytes_that_are_no_text_are_shown_as_such(log):
    log.write_bytes(b"\xff\xfe\n")
    assert log_file.tail(log, 1)[0] == ["\ufffd\ufffd"]
