"""What is wrong with a value, in words of ours: pydantic's name its types and show patterns. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

WORDS = {
    "missing": "is needed",
    "extra_forbidden": "is not known here",
    "string_type": "must be text",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "may have at most {max_length} characters",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing_size": "is too large a number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a number",
    "greater_than": "must be above {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be below {lt}",
    "less_than_equal": "may be at most {le}",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "too_short": "needs at least {min_length}",
    "too_long": "may have at most {max_length}",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
    "datetime_type": "must be a time, as 2026-11-26T10:00:00Z",
    "datetime_parsing": "must be a time, as 2026-11-26T10:00:00Z",
    "datetime_from_date_parsing": "must be a time, as 2026-11-26T10:00:00Z",
    "timezone_aware": "needs its time zone, as 2026-11-26T10:00:00Z",
    "date_type": "must be a day, as 2026-11-26",
    "date_parsing": "must be a day, as 2026-11-26",
    "date_from_datetime_parsing": "must be a day, as 2026-11-26",
    "none_required": "must be null",
}
"""By pydantic's type of error (https://docs.pydantic.dev/latest/errors/validation_errors, read 2026-11)."""
PATTERNS = {
    r"^\S(.*\S)?$": "may have no white space at its ends, and no line breaks",
    r"^https?://[^\s]+$": "must be an address that begins with http:// or https://",
    r"^[^@\s]+@[^@\s]+$": "must be an e-mail address",
    r"^(none|done|\d{1,4}d?)$": "must be none, done, or a number of days, as 7d",
    r"^[a-z0-9][a-z0-9-]{0,62}$": "must be small letters, digits and hyphens, at most 63",
    r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$": "must be letters, digits, and any of . _ -, at most 100",
    r"^[A-Za-z0-9][A-Za-z0-9._:@-]*$": "must be letters, digits, and any of . _ : @ -",
    r"^[\x21-\x7e]{1,4096}$": "must be printable ASCII without spaces, at most 4096 characters",
    r"^20\d\d-(0[1-9]|1[0-2])$": "must be a month, as 2026-11",
}
"""What a value must be like, by the pattern of its field."""
BRANCH = re.compile(r"str|int|float|bool|constrained-\w+|[a-z-]+\[.*\]", re.DOTALL)


def without_branches(location: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """The place in the body: pydantic also names the branch of a union, as `str` or `list[Part]`."""
    return tuple(part for part in location if not (isinstance(part, str) and BRANCH.fullmatch(part)))


def worded(found: Mapping[str, Any]) -> str:
    """What pydantic found, in our words; in its own where we have none. The value is not repeated."""
    context = found.get("ctx") or {}
    if found["type"] == "string_pattern_mismatch":
        return PATTERNS.get(context["pattern"], "does not have the right form")
    words = WORDS.get(found["type"])
    if words is None:
        return str(found["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ")
    return words.format(**{name: _plain(value) for name, value in context.items()})


def _plain(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value
