"""Settings: each is documented, with its default, as the code has it; what cannot be used is one line."""

from __future__ import annotations

import re

import pytest
from pydantic import ValidationError
from pydantic_core import PydanticUndefined

from core.config import Settings, first_error
from tests.stack import ROOT

UNITS = {
    **dict.fromkeys(("s", "seconds", "grace"), "seconds"),
    **{name: name for name in ("bytes", "days", "tokens")},
    "minute": "a minute",
    "mb": "megabytes",
}
WHERE_IT_RUNS = {"worker_host": "this host's name"}
"""Defaults that are no constant."""


def line(name):
    """A setting's line in docs/settings.md."""
    field = Settings.model_fields[name]
    default = "" if field.default in (None, "", {}) else f"`{field.default}`"
    if field.default is PydanticUndefined:
        default = WHERE_IT_RUNS[name]
    unit = UNITS.get(name.rpartition("_")[2], "")
    return f"| `{name.upper()}` | {default} | {unit} | {field.description} |"


def test_every_setting_is_documented_as_it_is_and_nothing_else_is():
    lines = re.findall(r"^\| `.*$", (ROOT / "docs/settings.md").read_text(), re.MULTILINE)
    assert lines == [line(name) for name in Settings.model_fields]


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_says_what_it_does(name):
    assert Settings.model_fields[name].description


def test_the_documents_name_no_setting_that_there_is_not():
    """In the words of operators: capitals with an underscore, in backquotes."""
    known = {name.upper() for name in Settings.model_fields} | {"WEB_CONCURRENCY"}
    named = {
        (path.name, word)
        for path in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
        for word in re.findall(r"`([A-Z]+(?:_[A-Z]+)+)(?:=[^`]*)?`", path.read_text())
    }
    assert named
    assert {(file, word) for file, word in named if word not in known} == set()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("PORT", "abc", "PORT: "),
        ("MANAGED_LLM_KEYS", "{secret", "MANAGED_LLM_KEYS: must be a JSON object"),
        ("CUSTOM_ENDPOINT_ALLOW", "10.0.0.0/33", "CUSTOM_ENDPOINT_ALLOW: "),
        *(
            ("RUNTIME_PORTS", ports, "RUNTIME_PORTS: must be a range of ports above 1023")
            for ports in ("18900", "80-90", "18910-18900", "60000-70000", "a-b", "18900-18910-1")
        ),
    ],
)
def test_what_cannot_be_used_is_one_line(monkeypatch, name, value, said):
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError) as wrong:
        Settings()
    assert first_error(wrong.value).startswith(said)
    assert "\n" not in first_error(wrong.value)
    assert "secret" not in first_error(wrong.value)
