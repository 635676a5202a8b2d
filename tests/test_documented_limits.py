"""docs/limits.md tells the bounds that the code has."""

from __future__ import annotations

import re
from importlib import import_module

import pytest

from core.config import Settings
from tests.stack import ROOT

ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in (ROOT / "docs/limits.md").read_text().splitlines()
    if line.startswith("| ") and not line.startswith("| what is read")
]


def value(where):
    """What the code has there: a constant, a setting's default, or an option in the Procfile."""
    place, _, name = where.rpartition(".")
    if where.startswith("Procfile"):
        option = where.removeprefix("Procfile ")
        return re.search(rf"{option} (\d+)", (ROOT / "Procfile").read_text())[1]
    if place == "core.config.Settings":
        return Settings.model_fields[name].default
    return getattr(import_module(place), name)


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_a_bound_is_as_it_is_documented(row):
    _, *told, where = row
    found = value(where.strip("`"))
    told_values = re.findall(r"`([\d.]+)`", " ".join(told))
    if not callable(found):
        assert f"{float(found):g}" in [f"{float(text):g}" for text in told_values]
