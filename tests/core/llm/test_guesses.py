"""Usage that a provider did not tell: all that was said counts, once, and all that was sent."""

import pytest

from core.llm import guesses
from tests.factory import asking

LONG = "thinking hard " * 2000
"""7,000 tokens."""
HELLO = [{"role": "user", "content": "hello"}]
SEALED = [{"type": "thinking", "thinking": LONG, "signature": "s" * 100}]
DETAILS = [{"type": "reasoning.text", "text": LONG}]


@pytest.mark.parametrize(
    "said",
    [
        {"content": LONG},
        {"content": "42", "reasoning": LONG},
        {"content": None, "refusal": LONG},
        {"content": "42", "thinking_blocks": SEALED},
        {"content": "42", "reasoning_details": DETAILS},
        {"content": "42", "reasoning": LONG, "thinking_blocks": SEALED, "reasoning_details": DETAILS},
    ],
    ids=[
        "text",
        "reasoning",
        "a refusal",
        "thinking",
        "details of reasoning",
        "one reasoning in three shapes",
    ],
)
def test_what_was_said_counts_once(said):
    assert 7000 <= guesses.about(asking(HELLO), said).tokens_output < 7100


def test_what_was_asked_for_beside_the_messages_counts():
    schema = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"description": LONG}}}
    asked = asking(HELLO, response_format=schema)
    assert 7000 < guesses.about(asked, {}).tokens_input < 7100
    assert guesses.at_most(asked, "openai").tokens_input > 7000


@pytest.mark.parametrize(("wire", "longest"), [("openai", 4096), ("responses", 4096), ("anthropic", 8192)])
def test_an_answer_that_nobody_saw_is_as_long_as_it_was_allowed_to_be(wire, longest):
    assert guesses.at_most(asking(HELLO), wire).tokens_output == longest
    assert guesses.at_most(asking(HELLO, max_tokens=9), wire).tokens_output == 9
