"""What a look at a process means, and how one ended, in words."""

import pytest

from core.runtime.outcome import HUNG, RECOVERED, TOO_LARGE, UNWELL, Look, back_off_s, finding, words


def look(**changes):
    usual = {
        "problem": None,
        "unready": 0,
        "memory_mb": 500.0,
        "limit_mb": 1000.0,
        "idle": lambda: True,
        "unhealthy": False,
    }
    return finding(Look(**{**usual, **changes}))


def test_one_that_is_well_is_left_alone():
    assert look() == (None, None)


def test_one_that_grew_is_restarted_when_it_is_idle_and_far_too_large_at_once():
    assert look(memory_mb=1001) == (TOO_LARGE, "it used 1001 MB; 1000 are allowed")
    assert look(memory_mb=1001, idle=lambda: False) == (None, None)
    assert look(memory_mb=1500, idle=lambda: False) == (None, None)
    assert look(memory_mb=1501, idle=lambda: False)[0] == TOO_LARGE
    assert look(memory_mb=1000) == (None, None)


def test_nobody_is_asked_whether_it_is_idle_while_it_is_small():
    assert look(idle=lambda: pytest.fail("asked")) == (None, None)


def test_one_miss_is_no_illness():
    assert look(problem="no answer", unready=1) == (None, None)
    assert look(problem="no answer", unready=2) == (UNWELL, "no answer")
    assert look(problem="no answer", unready=3, unhealthy=True) == (None, None)


def test_who_does_not_answer_for_long_is_hung():
    assert look(problem="no answer", unready=9, unhealthy=True) == (None, None)
    found, why = look(problem="no answer", unready=10, unhealthy=True)
    assert (found, why) == (HUNG, "no answer at 10 looks in a row: no answer")


def test_who_answers_again_is_well():
    assert look(unhealthy=True) == (RECOVERED, "it answers again")


@pytest.mark.parametrize(
    ("code", "said", "told"),
    [
        (None, [], "the process is gone"),
        (0, [], "the process ended with exit code 0"),
        (78, ["first", " bad config \n"], "the process ended with exit code 78: bad config"),
        (-9, [], "the process was ended by SIGKILL"),
        (-200, [], "the process was ended by signal 200"),
        (1, [""], "the process ended with exit code 1"),
        (1, ["x" * 1000], "the process ended with exit code 1: " + "x" * 300),
    ],
)
def test_how_it_ended_is_told_in_words(code, said, told):
    assert words(code, said) == told


def test_the_pause_doubles_up_to_five_minutes():
    assert [back_off_s(n) for n in (1, 2, 3, 4)] == [1, 2, 4, 8]
    assert back_off_s(20) == back_off_s(10_000) == 300
