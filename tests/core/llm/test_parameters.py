"""The table of parameters: what each way of saying one does, and that every wire has one for each."""

import re
from pathlib import Path
from typing import get_args

import pytest

from core.llm import parameters
from core.llm.failures import ProviderRefused
from core.llm.parameters import PARAMETERS, Parameter, Passed, Refused, Translated
from core.llm.types import WireName
from core.llm.wire import WIRES
from tests.core.llm.wire.replay import CLAUDE, GPT
from tests.factory import asking

DOCUMENTATION = Path(__file__).parents[3] / "docs" / "router.md"
ASKED = asking([{"role": "user", "content": "Hello"}])


def test_every_wire_says_every_parameter():
    assert set(get_args(WireName)) == set(WIRES)
    for parameter in PARAMETERS.values():
        for wire in WIRES:
            assert hasattr(getattr(parameter, wire), "fields"), (parameter.name, wire)


def test_a_parameter_is_passed_renamed_translated_or_refused():
    made = Parameter("user", str, openai=Passed(), anthropic=Passed(renamed="user_id"), responses=Passed())
    assert made.said("u1", ASKED, GPT) == {"user": "u1"}
    assert made.said("u1", ASKED, CLAUDE) == {"user_id": "u1"}
    of_model = Translated(lambda value, request, target: {"user": f"{value} of {target.model}"})
    made = Parameter("user", str, openai=of_model, anthropic=Refused("leave `user` out"), responses=Passed())
    assert made.said("u1", ASKED, GPT) == {"user": "u1 of gpt-4o-mini"}
    with pytest.raises(ProviderRefused, match="leave `user` out"):
        made.said("u1", ASKED, CLAUDE)


def test_two_parameters_may_say_parts_of_one_field(monkeypatch):
    for name in ("verbosity", "format"):
        way = Translated(lambda value, request, target, name=name: {"text": {name: value}})
        made = Parameter(name, str, openai=way, anthropic=way, responses=way)
        monkeypatch.setitem(PARAMETERS, name, made)
    asked = asking([], verbosity="low", format="text")
    assert parameters.said(asked, GPT) == {"text": {"verbosity": "low", "format": "text"}}


def test_the_documentation_has_all_of_them_and_says_which_may_be_preset():
    table = DOCUMENTATION.read_text()
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    told = {name: "*" in row for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert told.items() >= {name: parameter.preset for name, parameter in PARAMETERS.items()}.items()


def test_what_a_request_says_goes_before_what_its_agent_presets():
    asked = {"temperature": 0, "max_tokens": None, "messages": [], "stream": True}
    presets = {"temperature": 1, "max_tokens": 7, "seed": 3, "system_prompt": "Be brief."}
    assert parameters.chosen(asked, presets) == ({"temperature": 0, "max_tokens": 7}, {"max_tokens"})
