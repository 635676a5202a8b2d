"""Tool calls in OpenAI's format, whole and gathered from the pieces of a stream. Pure.

Vendors number the pieces in many ways: every call as 0, from 1 on, or not at all; some tell the name with
each piece, some tell no id (https://github.com/vercel/ai/pull/14277,
https://github.com/huggingface/smolagents/pull/1958, https://github.com/spring-projects/spring-ai/pull/5973,
read 2026-11).
"""

from __future__ import annotations

import json
from typing import Any

from core.llm.plain import mapping, mappings, storable, text
from core.llm.types import Document
from core.llm.wire.halves import Text
from core.llm.wire.ids import own_id

KNOWN_OF_A_CALL = ("index", "id", "type", "function")
NOTHING = "{}"
"""The arguments of a call that has none: clients parse them as JSON."""


def tool_calls(said: Document) -> list[Document]:
    """The calls, with the fields that a vendor adds: it may want them back."""
    found: list[Document] = []
    taken: set[str] = set()
    for call in told(said):
        if made := _tool_call(call, taken):
            found.append(made)
            taken.add(text(made.get("id")))
    return found


def told(said: Document) -> list[Document]:
    """The calls of a message, or the pieces of a delta; the one of `function_call` if there are no others.

    Some gateways still tell a call in that older field (https://github.com/QwenLM/qwen-code/pull/6240, read
    2026-11).
    """
    older = mapping(said.get("function_call"))
    return mappings(said.get("tool_calls")) or ([{"index": 0, "function": older}] if older else [])


def arguments(value: Any) -> str:
    """JSON as text; some local servers send it as an object."""
    return json.dumps(storable(value)) if isinstance(value, dict) else text(value)


class Calls:
    """Gathers the calls of a stream, in the order in which they began; `feed` takes one piece."""

    def __init__(self) -> None:
        self.gathered: list[Document] = []
        self._ids: list[str] = []
        """As they were given: some servers give all calls the same."""
        self._last: dict[str, int] = {}
        """The last call to which an id was given."""
        self._taken: set[str] = set()
        self._counts: list[int | None] = []
        self._at: dict[Any, int] = {}
        self._texts: list[Text] = []
        self._untold: set[int] = set()
        """Calls that clients have not heard of: their name is not known."""

    def feed(self, part: Document) -> Document | None:
        """Adds a piece to its call; returns it as OpenAI would have sent it. None: it has no name yet.

        Only a call's first piece carries its id, type and name: clients join the strings of all pieces.
        """
        function = mapping(part.get("function"))
        name, said = text(function.get("name")), _piece(function.get("arguments"))
        n = self._place(part, name, said)
        if n == len(self.gathered):
            self._begin(part)
        call = self.gathered[n]
        told = self._name(call, name)
        more = self._texts[n].feed(said)
        call["function"]["arguments"] += more
        added = {key: value for key, value in _added(part).items() if call.get(key) != value}
        call |= added
        if n in self._untold:
            return self._head(n) if name else None
        words = {key: value for key, value in (("name", told), ("arguments", more)) if value}
        return {**added, "index": n, "function": words}

    def end(self) -> list[Document]:
        """The last pieces: a call to which no arguments came gets an empty object."""
        pieces = [self._head(n) for n in sorted(self._untold)]
        for n, (call, rest) in enumerate(zip(self.gathered, self._texts, strict=True)):
            more = rest.close()
            more += "" if (call["function"]["arguments"] + more).strip() else NOTHING
            call["function"]["arguments"] += more
            if more:
                pieces.append({"index": n, "function": {"arguments": more}})
        return pieces

    def _place(self, part: Document, name: str, said: str) -> int:
        """The place of the call that a piece belongs to; the next free one if it begins a call."""
        given, counted = text(part.get("id")), self._at.get(_index(part))
        newest = len(self.gathered) - 1
        if given and given in self._last:
            n = counted if counted is not None and self._ids[counted] == given else self._last[given]
            return newest + 1 if name and self._is_another(n, part, name) else n
        if not self.gathered or ((name or given) and counted is None and _index(part) is not None):
            return len(self.gathered)
        last = newest if counted is None or (not name and self._is_over(counted, newest, said)) else counted
        return len(self.gathered) if name and self._begins_another(last, given, name, said) else last

    def _is_another(self, n: int, part: Document, name: str) -> bool:
        """Is a piece with a name another call, though its id is that of the call at this place?

        Some servers give each call the id "0" or "call_0". Its name and its number then tell it apart;
        where one of them alone does, it may belong to the same call until that is whole.
        """
        known, so_far = (self.gathered[n]["function"][key] for key in ("name", "arguments"))
        moved = None not in (_index(part), self._counts[n]) and _index(part) != self._counts[n]
        renamed = bool(known) and name != known
        return (moved and renamed) or ((moved or renamed) and _is_whole(so_far))

    def _is_over(self, n: int, newest: int, said: str) -> bool:
        """Does a piece of arguments belong to the newest call, which has none, as the counted one is whole?

        Some servers begin a call at one place and go on at another
        (https://github.com/agno-agi/agno/pull/8880, https://github.com/danny-avila/LibreChat/issues/13987).
        """
        before, now = (self.gathered[one]["function"]["arguments"] for one in (n, newest))
        return n != newest and not now and bool(said.strip()) and _is_whole(before)

    def _begins_another(self, n: int, given: str, name: str, said: str) -> bool:
        """Does a piece with a name, which comes to the place of a call, begin another?

        If its id is new, it does. (A new id without a name does not: some servers make up one a piece.)
        Without an id, another name does, once one of the two has arguments; so does the same name, once the
        arguments so far are whole.
        """
        if given:
            return bool(self._ids[n])
        known, so_far = (self.gathered[n]["function"][key] for key in ("name", "arguments"))
        if name == known:
            return bool(said) and _is_whole(so_far)
        return bool(known) and bool(so_far or said)

    def _begin(self, part: Document) -> None:
        given = text(part.get("id"))
        self._at[_index(part)] = len(self.gathered)
        self._counts.append(_index(part))
        id = own_id(given, self._taken)
        self._taken.add(id)
        self._last[given] = len(self.gathered)
        self._ids.append(given)
        self._texts.append(Text())
        function = {"name": "", "arguments": ""}
        self._untold.add(len(self.gathered))
        self.gathered.append({"id": id, "type": "function", "function": function})

    def _head(self, n: int) -> Document:
        """All that is known of a call, told for the first time."""
        self._untold.discard(n)
        call = self.gathered[n]
        words = {key: value for key, value in call["function"].items() if value}
        return {**_added(call), "index": n, "function": words, "id": call["id"], "type": "function"}

    def _name(self, call: Document, name: str) -> str:
        """The part of the name that is new: most vendors tell it once, some with each piece, some late."""
        function = call["function"]
        over = function["name"] and function["arguments"]
        new = "" if over or name == function["name"] else name
        function["name"] += new
        return new


def _added(part: Document) -> Document:
    """What a vendor says of a call beside OpenAI's fields: Google's signature, which it wants back."""
    return dict(storable({key: value for key, value in part.items() if key not in KNOWN_OF_A_CALL}))


def _tool_call(call: Document, taken: set[str]) -> Document | None:
    """A call of a custom tool, which has an `input`, is handed on as it is. `taken`: ids of other calls."""
    function = call.get("function")
    if not isinstance(function, dict):
        return storable(call) if mapping(call.get("custom")) else None
    said = arguments(function.get("arguments"))
    return {
        **storable({key: value for key, value in call.items() if key != "index"}),
        "id": own_id(call.get("id"), taken),
        "type": "function",
        "function": {"name": text(function.get("name")), "arguments": said if said.strip() else NOTHING},
    }


def _piece(value: Any) -> str:
    """Arguments as they came: a half of a character at the end is not lost yet."""
    return value if isinstance(value, str) else arguments(value)


def _index(part: Document) -> int | None:
    index = part.get("index")
    return index if isinstance(index, int) and not isinstance(index, bool) else None


def _is_whole(said: str) -> bool:
    try:
        json.loads(said)
    except (ValueError, RecursionError):
        return False
    return True
