"""Errors in words that a person understands: no types of a library, no patterns."""

from __future__ import annotations

import re
from typing import get_args

import pytest
from pydantic_core.core_schema import ErrorType

from web.wording import PATTERNS, WORDS

LIBRARYS_WORDS = re.compile(r"[Ii]nput should|String should|List should|Value error|permitted|\^")


def patterns(schema):
    """Every pattern in it, wherever it stands."""
    inside = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ()
    own = [schema["pattern"]] if isinstance(schema, dict) and isinstance(schema.get("pattern"), str) else []
    return own + [found for one in inside for found in patterns(one)]


def test_every_pattern_of_the_api_has_words(nobody):
    found = set(patterns(nobody.get("/openapi.json").json))
    assert found
    assert found - set(PATTERNS) == set()


def test_the_types_of_errors_are_those_of_the_library():
    assert set(WORDS) - set(get_args(ErrorType)) == set()


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("/agents", {"name": 5}, {"/name": "must be text"}),
        ("/agents", {}, {"/name": "is needed"}),
        ("/agents", {"name": "a", "colour": 1}, {"/colour": "is not known here"}),
        ("/agents", {"name": " a"}, {"/name": "may have no white space at its ends, and no line breaks"}),
        ("/agents", {"name": "a", "email": "nobody"}, {"/email": "must be an e-mail address"}),
        ("/agents/agent:demo/chat", {"message": "x", "temperature": 9}, {"/temperature": "may be at most 2"}),
        ("/agents/agent:demo/chat", {"messages": []}, {"/messages": "needs at least 1"}),
        (
            "/agents/agent:demo/chat",
            {"messages": [{"role": "user", "content": 7}]},
            {"/messages/0/content": "must be text or must be a list"},
        ),
        ("/agents/agent:demo/chat", {}, {"": "give either `message` or `messages`"}),
        (
            "/agents",
            {"name": "a", "content_retention": "a year"},
            {"/content_retention": "must be none, done, or a number of days, as 7d"},
        ),
    ],
)
def test_what_is_wrong_is_said_in_plain_words(member, path, body, said):
    answer = member.post(path, body)
    assert answer.status_code == 422
    assert {place["pointer"]: place["detail"] for place in answer.json["errors"]} == said
    assert not LIBRARYS_WORDS.search(answer.text)
    assert all(words in answer.json["detail"] for words in said.values())


def test_filters_are_told_in_plain_words_too(member):
    answer = member.get("/jobs?limit=0&status=nope&since=yesterday")
    assert {place["pointer"]: place["detail"] for place in answer.json["errors"]} == {
        "/limit": "must be at least 1",
        "/status": "must be 'queued', 'running', 'succeeded', 'failed' or 'cancelled'",
        "/since": "must be a time, as 2026-11-26T10:00:00Z",
    }
    assert answer.json["detail"].startswith("limit must be at least 1; ")
