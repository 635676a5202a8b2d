"""What a provider echoes of a key is taken out of its words, whole, in part or masked."""

import pytest

from core.llm.redact import HIDDEN, LONGEST, redact

SECRET = "zq81-Lm0Pv7tR2wXyB4cD6eF"
ODD = "another/users+key=0987654321"


@pytest.mark.parametrize(
    "said",
    [
        f"Incorrect API key provided: {SECRET}.",
        f'{{"error": {{"key":"{SECRET}"}}}}',
        f"key={SECRET}&model=m",
        f"{SECRET}{SECRET}",
        f"begins with {SECRET[:8]} it does",
        f"ends with {SECRET[-8:]}",
        f"is like x{SECRET[5:13]}y",
        f"masked as {SECRET[:3]}***{SECRET[-3:]}.",
        f"masked as {SECRET[:4]}...{SECRET[-4:]}!",
        f"masked as {SECRET[:2]}{'•' * 8}{SECRET[-1:]}",
        f"masked as {'*' * 12}{SECRET[-4:]}",
        f"masked as {SECRET[:4]}{'x' * 12}",
    ],
)
def test_nothing_of_a_secret_is_left(said):
    shown = redact(said, [SECRET], shapes=False)
    assert HIDDEN in shown
    for piece in (SECRET[:4], SECRET[-4:], SECRET[5:13]):
        assert piece not in shown


@pytest.mark.parametrize(
    "said",
    [
        "The model `gpt-4o` does not exist, or you have no access to it.",
        f"seven in a row may be chance: {SECRET[:7]}",
        f"other ends: abc***{SECRET[-3:]}, {SECRET[:3]}***xyz",
        f"too little to tell: {SECRET[0]}***{SECRET[-1]}",
        "stars *** and dots ... alone",
        "",
    ],
)
def test_other_words_stay_as_they_are(said):
    assert redact(said, [SECRET]) == said


def test_every_secret_is_looked_for_and_none_is_nothing():
    assert redact(f"{SECRET} {ODD}", [SECRET, "", ODD]) == f"{HIDDEN} {HIDDEN}"
    assert redact("nothing is secret here", [""]) == "nothing is secret here"


@pytest.mark.parametrize(
    "said",
    [
        "sk-proj-abc123",
        "gsk_abcdef",
        "xai-abc…def",
        "Authorization: Bearer abc",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0",
        "0123456789abcdef0123456789abcdef",
    ],
)
def test_what_looks_like_a_key_is_hidden_unless_it_is_asked_to_stay(said):
    shown = redact(f"you sent {said} to us", [])
    assert HIDDEN in shown
    assert said not in shown
    assert redact(f"you sent {said} to us", [], shapes=False) == f"you sent {said} to us"


def test_a_long_text_is_cut_after_the_secret_was_taken_out():
    shown = redact("a " * (LONGEST // 2 - 2) + SECRET + " and more" * 100, [SECRET])
    assert len(shown) == LONGEST
    assert shown.endswith("…")
    assert SECRET[:4] not in shown
    assert len(redact("a " * (LONGEST // 2), [])) == LONGEST


def test_a_word_that_a_secret_begins_and_ends_with_is_no_mask():
    assert redact("the word key1 alone", ["key1-abcdefgh-key1"]) == "the word key1 alone"


def test_what_cannot_be_stored_is_replaced():
    assert redact("a\ud800b", []) == "a?b"
