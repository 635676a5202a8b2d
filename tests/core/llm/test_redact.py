"""What a provider echoes of a key is taken out of its words, whole or masked."""

import pytest

from core.llm.redact import HIDDEN, LONGEST, redact

SECRET = "zq81-Lm0Pv7tR2wXyB4cD6eF"
ODD = "another/users+key=0987654321"


MASKED = [
    f"masked as {SECRET[:3]}***{SECRET[-3:]}.",
    f"masked as {SECRET[:4]}...{SECRET[-4:]}!",
    f"masked as {SECRET[:2]}{'•' * 8}{SECRET[-1:]}",
    f"masked as {SECRET[:4]}…{SECRET[-4:]}",
    f"masked as {'*' * 12}{SECRET[-4:]}",
    f"masked as {SECRET[:4]}{'x' * 12}",
]


@pytest.mark.parametrize(
    "said",
    [
        f"Incorrect API key provided: {SECRET}.",
        f'{{"error": {{"key":"{SECRET}"}}}}',
        f"key={SECRET}&model=m",
        f"{SECRET}{SECRET}",
        *MASKED,
    ],
)
def test_nothing_of_a_secret_is_left(said):
    shown = redact(said, SECRET)
    assert HIDDEN in shown
    for piece in (SECRET[:4], SECRET[-4:], SECRET[5:13]):
        assert piece not in shown


@pytest.mark.parametrize(
    "said", [ODD, "another%2Fusers%2Bkey%3D0987654321"], ids=["as it is", "in an address"]
)
def test_a_secret_of_several_words_is_hidden_whole(said):
    assert redact(f"no {said} here", ODD) == f"no {HIDDEN} here"


@pytest.mark.parametrize(
    "guess",
    [
        *MASKED,
        f"begins with {SECRET[:8]} it does",
        f"ends with {SECRET[-8:]}",
        f"all but one: {SECRET[:-1]}",
        f"none but one: {SECRET[-1]}***{SECRET[0]}",
    ],
)
def test_whoever_guesses_a_part_of_a_secret_is_not_told_that_it_is_right(guess):
    """An endpoint chooses its words, and a vendor repeats those of a request: both may be a tenant's."""
    wrong = SECRET.swapcase()
    assert (HIDDEN in redact(guess, SECRET)) == (HIDDEN in redact(guess, wrong)) == (guess in MASKED)


@pytest.mark.parametrize(
    "said",
    [
        "The model `gpt-4o` does not exist, or you have no access to it.",
        f"too little to tell: {SECRET[0]}***{SECRET[-1]}",
        "stars *** and dots ... alone",
        "**Bold** words, a *leaning* one, maxx of 1..65535, and so on... and on… and ...on",
        "",
    ],
)
@pytest.mark.parametrize("secret", [SECRET, "", None], ids=["a secret", "an empty one", "none"])
def test_other_words_stay_as_they_are(said, secret):
    assert redact(said, secret) == said


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
    shown = redact(f"you sent {said} to us", None)
    assert HIDDEN in shown
    assert said not in shown
    assert redact(f"you sent {said} to us", None, shapes=False) == f"you sent {said} to us"


def test_a_long_text_is_cut_after_the_secret_was_taken_out():
    shown = redact("a " * (LONGEST // 2 - 2) + SECRET + " and more" * 100, SECRET)
    assert len(shown) == LONGEST
    assert shown.endswith("…")
    assert SECRET[:4] not in shown
    assert len(redact("a " * (LONGEST // 2), None)) == LONGEST


def test_a_word_that_a_secret_begins_and_ends_with_is_no_mask():
    assert redact("the word key1 alone", "key1-abcdefgh-key1") == "the word key1 alone"


def test_what_cannot_be_stored_is_replaced():
    assert redact("a\ud800b", None) == "a?b"
