"""`<think>` is taken out of the content, wherever it is cut."""

from __future__ import annotations

import pytest

from core.llm.wire import think

SAID = [
    ("<think>\nBe brief.\n</think>\n\nHi!", ("Hi!", "Be brief.")),
    ("  <think>Be brief.</think>Hi!", ("Hi!", "Be brief.")),
    ("<think>Only a < b and </b> thought", ("", "Only a < b and </b> thought")),
    ("<think></think>Hi!", ("Hi!", "")),
    ("<think>Be brief.</think>\n\n", ("", "Be brief.")),
    ("Hi! <think>no</think>", ("Hi! <think>no</think>", "")),
    ("<thinking>no</thinking>", ("<thinking>no</thinking>", "")),
    ("<thi", ("<thi", "")),
    (" \n", (" \n", "")),
    ("", ("", "")),
]


@pytest.mark.parametrize(("said", "means"), SAID)
def test_a_whole_answer(said, means):
    assert think.split(said) == means


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize(("said", "means"), SAID)
def test_an_answer_in_pieces(said, means, size):
    splitter = think.Splitter()
    pieces = [splitter.feed(said[at : at + size]) for at in range(0, len(said), size)] + [splitter.close()]
    content, reasoning = ("".join(words) for words in zip(*pieces, strict=True))
    assert (content, reasoning.strip()) == means


def test_words_are_passed_on_as_soon_as_they_cannot_be_a_tag():
    splitter = think.Splitter()
    assert splitter.feed("<think>Be") == ("", "Be")
    assert splitter.feed(" brief</t") == ("", " brief")
    assert splitter.feed("ag>") == ("", "</tag>")
    assert splitter.feed("</think>\n") == ("", "")
    assert splitter.feed("\nHi") == ("Hi", "")
    assert splitter.feed(" <think>") == (" <think>", "")


def test_white_space_without_an_end_is_not_held_back():
    splitter = think.Splitter()
    said = [splitter.feed(" ")[0] for _ in range(1000)]
    assert len("".join(said)) == 1000


def test_what_is_joined_splits_again():
    assert think.split(think.join("Hi!", "Be brief.")) == ("Hi!", "Be brief.")
