"""Forms as bodies of the API, so that the same rules hold: what was left empty is null, a number a number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from werkzeug.datastructures import MultiDict

from web import problems

Body = TypeVar("Body", bound=BaseModel)

WHOLE = frozenset({"rpm", "tpm", "max_running", "grace"})
MONEY = frozenset({"budget_usd"})
LISTS = frozenset({"agents"})


def given(form: MultiDict[str, str], body: type[BaseModel], *, without: frozenset[str] = frozenset()) -> Any:
    """What the form says of the fields of `body`. `without`: those that it leaves out when they are empty."""
    found: dict[str, Any] = {}
    for name in body.model_fields.keys() & form.keys():
        texts = [text for text in (text.strip() for text in form.getlist(name)) if text]
        if texts or name not in without:
            found[name] = _value(name, texts)
    return found


def read(body: type[Body], found: Mapping[str, Any]) -> Body:
    """Raises `Invalid` for what the API would refuse too."""
    try:
        return body.model_validate(found)
    except ValidationError as error:
        raise problems.invalid(error) from None


def _value(name: str, texts: list[str]) -> Any:
    if name in LISTS:
        return texts or None
    if not texts:
        return None
    if name == "expires_at":
        return f"{texts[0]}T00:00:00Z"
    kind: Any = int if name in WHOLE else float if name in MONEY else str
    try:
        return kind(texts[0])
    except ValueError:
        return texts[0]  # the body says what is wrong with it
