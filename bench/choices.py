"""The command line of a bench: one of a few measurements, and `--help`, which is the module's docstring."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence


def chosen(says: str | None, table: dict[str, Callable[..., object]], given: Sequence[str]) -> None:
    """Carry out the measurement that was named, or the first; say what there is for any other word."""
    name, *rest = given or [next(iter(table))]
    if name in ("-h", "--help"):
        print(says)
    elif name in table:
        table[name](*rest)
    else:
        sys.exit(f"there is no {name!r}; say one of {', '.join(table)}")


def asked_for_help(says: str | None, given: Sequence[str]) -> bool:
    """For a bench that takes numbers alone: was it asked what it does? Then that is said."""
    asked = any(word in ("-h", "--help") for word in given)
    if asked:
        print(says)
    return asked
