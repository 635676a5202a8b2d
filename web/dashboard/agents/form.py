"""Forms of the tables of fields: a control for each row, and what was sent as the body that the API takes.

A row that is new in `core/agents/fields.py` is drawn by its type; the tables here only say it better. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from core.agents.fields import Row
from core.errors import Invalid
from core.store import free_json

Document = dict[str, Any]
Options = tuple[tuple[str, str], ...]

LABELS = {
    "email": "E-mail",
    "custom_endpoint": "Address of its API",
    "top_p": "Top p",
    "wire": "OpenAI API",
    "fallback": "Whom to ask next",
    "allow_managed_fallback": "At last, ask the managed tier",
    "content_fallback": "Ask the next one also when a policy refuses",
    "on_worker_loss": "When its worker dies",
    "content_retention": "Keep what was said",
    "limit_policy": "When an allowance is used up",
    "runtime_budget_usd": "Its process may spend, in USD",
    "runtime_budget_period": "In each",
    "drive_sync": "Its process sees its files of the drive",
}
HINTS = {
    "custom_endpoint": "Only for an endpoint of your own that speaks the provider's format.",
    "fallback": "One a line: anthropic, or anthropic/claude-haiku-4-5. Empty: the usual ones. none: nobody.",
    "content_retention": "none, done, or a number of days. Empty: as the installation does.",
    "tools": "Names of its process's tools, one a line.",
    "metadata": "JSON of your own.",
    "credential": "A key of the workspace, in place of one of its own.",
}
AREAS = {"system_prompt": 8, "description": 2, "fallback": 3, "tools": 3, "metadata": 3}
LONG = ("system_prompt", "description")


@dataclass(frozen=True)
class Control:
    """How a field is drawn. `kind`: text, area, number, check, choice, lines or json. `value`: as text, or
    whether it is checked. `unset`: the option that stands for null."""

    name: str
    label: str
    kind: str
    value: Any
    hint: str = ""
    options: Options = ()
    unset: str = ""
    rows: int = 4


def controls(rows: Iterable[Row], stored: Mapping[str, Any]) -> dict[str, Control]:
    """One for each row, by name, with what is stored."""
    return {row.name: _control(row, stored.get(row.name, row.default)) for row in rows}


def body(rows: Iterable[Row], sent: Mapping[str, str]) -> Document:
    """What was sent, for a body of the API. Raises `Invalid` for JSON that is none."""
    return {row.name: _read(row.name, _kind(row), sent.get(row.name)) for row in rows}


def _control(row: Row, value: Any) -> Control:
    kind, options = _kind(row), tuple((str(one), str(one)) for one in _literals(row.type))
    return Control(
        row.name,
        LABELS.get(row.name, row.name.replace("_", " ").capitalize()),
        kind,
        _shown(row.name, kind, value),
        HINTS.get(row.name, ""),
        options,
        "as usual" if options and type(None) in _plain(row.type) else "",
        AREAS.get(row.name, 4),
    )


def _kind(row: Row) -> str:
    if row.name in LONG:
        return "area"
    if row.name == "fallback":
        return "lines"
    if _literals(row.type):
        return "choice"
    plain = next(one for one in _plain(row.type) if one is not type(None))
    if plain is list and row.default == []:
        return "lines"
    return {bool: "check", int: "number", float: "number", str: "text"}.get(plain, "json")


def _plain(kind: Any) -> list[Any]:
    """The types that a type is made of: `Annotated[list[str], …] | None` is list and None."""
    origin = get_origin(kind)
    if origin is Annotated:
        return _plain(get_args(kind)[0])
    if origin in (Union, UnionType):
        return [found for one in get_args(kind) for found in _plain(one)]
    return [origin or kind]


def _literals(kind: Any) -> tuple[Any, ...]:
    origin = get_origin(kind)
    if origin is Literal:
        return get_args(kind)
    of = get_args(kind) if origin in (Union, UnionType) else get_args(kind)[:1] if origin is Annotated else ()
    return tuple(one for part in of for one in _literals(part))


def _shown(name: str, kind: str, value: Any) -> Any:
    if kind == "check":
        return bool(value)
    if name == "fallback":
        return "none" if value == [] else "\n".join(map(_target, value or ()))
    if kind == "lines":
        return "\n".join(value or ())
    if kind == "json":
        return json.dumps(value, indent=2, ensure_ascii=False) if value else ""
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _target(fallback: Mapping[str, Any]) -> str:
    return "/".join(filter(None, (fallback["provider"], fallback.get("model"))))


def _read(name: str, kind: str, text: str | None) -> Any:
    """None: nothing was said, or the field stood empty."""
    if kind == "check":
        return text is not None
    said = (text or "").strip()
    if name == "fallback":
        return [_fallback(line) for line in _lines(said) if line != "none"] if said else None
    if kind == "lines":
        return _lines(said)
    if not said:
        return {} if name == "metadata" else None
    return _parsed(name, said) if kind in ("json", "number") else said


def _lines(said: str) -> list[str]:
    return [line.strip() for line in said.splitlines() if line.strip()]


def _fallback(line: str) -> Document:
    provider, _, model = line.partition("/")
    return {"provider": provider, **({"model": model} if model else {})}


def _parsed(name: str, said: str) -> Any:
    try:
        return free_json.parsed(said.encode())
    except Invalid as problem:
        detail = "a number, or JSON" if problem.code == "malformed" else problem.detail
        raise Invalid(detail, errors=[{"pointer": f"/{name}", "detail": detail}]) from None
