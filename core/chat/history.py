"""A conversation's history as messages: what the model is told again, and what no longer fits. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from core import tokens

Document = dict[str, Any]
Turn = Sequence[Document]
"""The messages of one chat: what was asked, then the assistant's answer."""

SYSTEM = ("system", "developer")


def told(turns: Sequence[Turn], asked: Turn, room: int) -> tuple[list[Document], int]:
    """What to send: as many of the newest turns as `room` (in tokens) takes, then what is asked now.

    Also returns how many turns were left out. Turns belong together if one has the results of tools that
    another one called: they stay or go together, and those that belong to the question always stay. A system
    message of an earlier turn was for that turn alone.
    """
    *earlier, mine = _joined([*turns, asked])
    left = room - sum(map(tokens.about, mine))
    kept: list[list[Turn]] = []
    for group in reversed(earlier):
        left -= sum(map(tokens.about, group))
        if left < 0:
            break
        kept.insert(0, group)
    before = [message for group in [*kept, mine[:-1]] for turn in group for message in turn]
    system = [message for message in asked if message["role"] in SYSTEM]
    question = [message for message in asked if message["role"] not in SYSTEM]
    dropped = len(turns) - sum(map(len, kept)) - len(mine[:-1])
    return [*system, *_answered(before, question), *question], dropped


def _joined(turns: Sequence[Turn]) -> list[list[Turn]]:
    """The turns in groups, the last turn's group last.

    Results stand behind the turn that called their tools, whatever was said between by another client.
    """
    groups: list[list[Turn]] = []
    mine: list[Turn] = []
    for turn in turns:
        results = {message.get("tool_call_id") for message in turn if message["role"] == "tool"}
        mine = next((group for group in reversed(groups) if results & _calls(group[-1][-1])), [])
        if not mine:
            groups.append(mine)
        mine.append(turn)
    return [*(group for group in groups if group is not mine), mine]


def _answered(before: list[Document], question: Turn) -> list[Document]:
    """The messages without tool calls that have no result, and without results that have no call.

    Providers refuse both.
    """
    answers = {m.get("tool_call_id") for m in [*before, *question] if m["role"] == "tool"}
    kept: list[Document] = []
    called: set[str] = set()
    for message in before:
        if message["role"] in SYSTEM or (message["role"] == "tool" and message["tool_call_id"] not in called):
            continue
        if not _calls(message) <= answers:
            message = {**message, "tool_calls": None}
            if not message.get("content"):
                continue
        called |= _calls(message)
        kept.append(message)
    return kept


def _calls(message: Mapping[str, Any]) -> set[str]:
    return {call["id"] for call in message.get("tool_calls") or []}
