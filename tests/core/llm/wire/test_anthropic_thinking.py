"""How much Anthropic is to think: an effort, or a budget for older models; never with a forced call."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.llm.failures import ProviderRefused
from core.llm.wire import anthropic
from tests.core.llm.wire import sdk
from tests.core.llm.wire.replay import target
from tests.factory import asking

ASKED = [{"role": "user", "content": "Hello"}]
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
LOOK = {"type": "function", "function": {"name": "look"}}
ADAPTIVE = {"type": "adaptive"}


def said(model, effort, *, preset=False, **more):
    """The fields of the body that are about thinking, and the temperature."""
    request = asking(ASKED, reasoning_effort=effort, **more)
    if preset:
        request = replace(request, preset=frozenset({"reasoning_effort"}))
    body = anthropic.to_wire(request, target("anthropic", model))
    sent = {name: value for name, value in body.items() if name != "temperature"}
    assert sdk.known(sdk.ANTHROPIC, sent) == sent
    return {name: body[name] for name in ("thinking", "output_config", "temperature") if name in body}


@pytest.mark.parametrize(
    ("model", "effort", "expected"),
    [
        ("claude-sonnet-4-5", "minimal", {"thinking": {"type": "enabled", "budget_tokens": 1024}}),
        ("claude-sonnet-4-5", "high", {"thinking": {"type": "enabled", "budget_tokens": 7168}}),
        ("claude-opus-4-1-20250805", "medium", {"thinking": {"type": "enabled", "budget_tokens": 4096}}),
        ("claude-sonnet-4-5", "none", {"thinking": {"type": "disabled"}}),
        ("claude-opus-4-5", "xhigh", {"output_config": {"effort": "high"}}),
        ("claude-opus-4-6", "xhigh", {"thinking": ADAPTIVE, "output_config": {"effort": "high"}}),
        ("claude-opus-4-6", "max", {"thinking": ADAPTIVE, "output_config": {"effort": "max"}}),
        ("claude-opus-5", "minimal", {"thinking": ADAPTIVE, "output_config": {"effort": "low"}}),
    ],
)
def test_an_effort_is_said_as_the_model_takes_it(model, effort, expected):
    assert said(model, effort) == expected


@pytest.mark.parametrize("choice", ["required", LOOK])
def test_an_effort_goes_without_thinking_where_a_call_is_forced(choice):
    forced = {"tools": [TOOL], "tool_choice": choice}
    assert said("claude-opus-4-6", "low", **forced) == {"output_config": {"effort": "low"}}
    assert said("claude-opus-4-5", "low", **forced) == {"output_config": {"effort": "low"}}


@pytest.mark.parametrize("choice", ["required", LOOK])
def test_a_budget_is_refused_where_a_call_is_forced_and_left_out_if_the_agent_presets_it(choice):
    forced = {"tools": [TOOL], "tool_choice": choice, "temperature": 0.5}
    with pytest.raises(ProviderRefused, match="`tool_choice` and `reasoning_effort`"):
        said("claude-sonnet-4-5", "low", **forced)
    assert said("claude-sonnet-4-5", "low", preset=True, **forced) == {"temperature": 0.5}


@pytest.mark.parametrize("choice", ["auto", "none", None])
def test_a_choice_that_forces_nothing_leaves_the_thinking(choice):
    more = {"tools": [TOOL], "temperature": 0.5} | ({"tool_choice": choice} if choice else {})
    assert said("claude-sonnet-4-5", "low", **more) == {
        "thinking": {"type": "enabled", "budget_tokens": 2048}
    }


def test_a_limit_that_leaves_no_room_to_think_is_refused():
    with pytest.raises(ProviderRefused, match="`max_tokens`"):
        said("claude-sonnet-4-5", "low", max_tokens=2000)


def test_a_model_that_does_not_think_is_asked_for_none():
    with pytest.raises(ProviderRefused, match="`reasoning_effort`"):
        said("claude-3-5-haiku-latest", "low")
