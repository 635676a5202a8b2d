"""The parameters of a chat: one row each, with its type and how each wire says it.

A chat's body, the OpenAI door, an agent's `llm_config`, a job's plan, a request and both wires read this
table: whoever adds a parameter adds a row. `messages` and `stream` are no parameters: each wire has code for
them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Protocol

from pydantic import Field

from core.llm.failures import ProviderRefused
from core.llm.translations import anthropic, openai, responses
from core.llm.types import ChatRequest, Document, Target


class Way(Protocol):
    """How a wire says a parameter: as fields of its body. Raises `ProviderRefused` for what it cannot say."""

    def fields(self, name: str, value: Any, request: ChatRequest, target: Target) -> Document: ...


@dataclass(frozen=True)
class Passed:
    """As it was given, or under another name."""

    renamed: str | None = None

    def fields(self, name: str, value: Any, request: ChatRequest, target: Target) -> Document:
        return {self.renamed or name: value}


@dataclass(frozen=True)
class Translated:
    by: Callable[[Any, ChatRequest, Target], Document]

    def fields(self, name: str, value: Any, request: ChatRequest, target: Target) -> Document:
        return self.by(value, request, target)


@dataclass(frozen=True)
class Refused:
    """`why` names the parameter, and says what to do. `nothing`: the value that means the same as none."""

    why: str
    nothing: Any = None

    def fields(self, name: str, value: Any, request: ChatRequest, target: Target) -> Document:
        if value == self.nothing:
            return {}
        raise ProviderRefused(self.why)


@dataclass(frozen=True)
class LeftOut:
    """For a hint that changes no answer, and that the wire needs no word for."""

    def fields(self, name: str, value: Any, request: ChatRequest, target: Target) -> Document:
        return {}


@dataclass(frozen=True)
class Parameter:
    """`type`: what pydantic takes in a body. `openai`, `anthropic`, `responses`: how that wire says it.

    `preset`: an agent's `llm_config` may set it, for chats that do not; unset there, it is
    `default`. `aliases`: other names of it at the OpenAI door; an alias that is given wins over the name.
    """

    name: str
    type: Any
    openai: Way
    anthropic: Way
    responses: Way
    preset: bool = False
    aliases: tuple[str, ...] = ()
    default: Any = None

    def said(self, value: Any, request: ChatRequest, target: Target) -> Document:
        way: Way = getattr(self, target.wire)
        return way.fields(self.name, value, request, target)


def _extra(value: Document, request: ChatRequest, target: Target) -> Document:
    """For what has no common name: as it is, but for what is counted, priced or said elsewhere."""
    taken = [name for name in value if name in PARAMETERS or name in NOT_EXTRA]
    if taken:
        raise ProviderRefused(f"`extra` takes no `{taken[0]}`: that is said in a field of the request itself")
    return value


NOT_EXTRA = frozenset(
    {
        "model",
        "models",
        "messages",
        "input",
        "system",
        "instructions",
        "stream",
        "stream_options",
        "n",
        "store",
    }
    | {"max_completion_tokens", "max_output_tokens", "stop_sequences", "functions", "function_call"}
)

PARAMETERS = {
    parameter.name: parameter
    for parameter in (
        Parameter(
            "tools",
            Annotated[list[dict[str, Any]], Field(max_length=200)],
            openai=Translated(openai.tools),
            anthropic=Translated(anthropic.tools),
            responses=Translated(responses.tools),
        ),
        Parameter(
            "tool_choice",
            Annotated[str, Field(min_length=1, max_length=200)] | dict[str, Any],
            openai=Passed(),
            anthropic=Translated(anthropic.tool_choice),
            responses=Translated(responses.tool_choice),
        ),
        Parameter(
            "response_format",
            dict[str, Any],
            openai=Passed(),
            anthropic=Translated(anthropic.response_format),
            responses=Translated(responses.response_format),
        ),
        Parameter(
            "temperature",
            Annotated[float, Field(ge=0, le=2)],
            openai=Translated(openai.temperature),
            anthropic=Translated(anthropic.temperature),
            responses=Translated(openai.temperature),
            preset=True,
        ),
        Parameter(
            "max_tokens",
            Annotated[int, Field(ge=1, le=10_000_000)],
            openai=Translated(openai.max_tokens),
            anthropic=Passed(),
            responses=Translated(responses.max_tokens),
            preset=True,
            aliases=("max_completion_tokens",),
        ),
        Parameter(
            "top_p",
            Annotated[float, Field(ge=0, le=1)],
            openai=Translated(openai.top_p),
            anthropic=Translated(anthropic.top_p),
            responses=Translated(openai.top_p),
            preset=True,
        ),
        Parameter(
            "stop",
            str | Annotated[list[str], Field(max_length=1000, fail_fast=True)],
            openai=Passed(),
            anthropic=Translated(anthropic.stop),
            responses=Refused("OpenAI's Responses API has no stop sequences: leave `stop` out", nothing=[]),
        ),
        Parameter(
            "seed",
            int,
            openai=Passed(),
            anthropic=Refused("Anthropic has no seed: leave `seed` out"),
            responses=Refused("OpenAI's Responses API has no seed: leave `seed` out"),
        ),
        Parameter(
            "prompt_cache",
            Literal["auto", "5m", "1h", "off"],
            openai=Translated(openai.prompt_cache),
            anthropic=Translated(anthropic.prompt_cache),
            responses=Translated(openai.prompt_cache),
            preset=True,
            default="auto",
        ),
        Parameter(
            "presence_penalty",
            Annotated[float, Field(ge=-2, le=2)],
            openai=Passed(),
            anthropic=Refused("Anthropic has no penalties: leave `presence_penalty` out", nothing=0),
            responses=Refused(
                "OpenAI's Responses API has no penalties: leave `presence_penalty` out", nothing=0
            ),
        ),
        Parameter(
            "frequency_penalty",
            Annotated[float, Field(ge=-2, le=2)],
            openai=Passed(),
            anthropic=Refused("Anthropic has no penalties: leave `frequency_penalty` out", nothing=0),
            responses=Refused(
                "OpenAI's Responses API has no penalties: leave `frequency_penalty` out", nothing=0
            ),
        ),
        Parameter(
            "logit_bias",
            Annotated[dict[str, Annotated[int | float, Field(ge=-100, le=100)]], Field(max_length=1000)],
            openai=Passed(),
            anthropic=Refused("Anthropic biases no tokens: leave `logit_bias` out", nothing={}),
            responses=Refused("OpenAI's Responses API biases no tokens: leave `logit_bias` out", nothing={}),
        ),
        Parameter(
            "logprobs",
            bool,
            openai=Passed(),
            anthropic=Refused("Anthropic tells no probabilities: leave `logprobs` out", nothing=False),
            responses=Refused(
                "probabilities come by chat completions alone: leave `logprobs` out", nothing=False
            ),
        ),
        Parameter(
            "top_logprobs",
            Annotated[int, Field(ge=0, le=20)],
            openai=Passed(),
            anthropic=Refused("Anthropic tells no probabilities: leave `top_logprobs` out", nothing=0),
            responses=Refused(
                "probabilities come by chat completions alone: leave `top_logprobs` out", nothing=0
            ),
        ),
        Parameter(
            "parallel_tool_calls",
            bool,
            openai=Translated(openai.parallel_tool_calls),
            anthropic=Translated(anthropic.parallel_tool_calls),
            responses=Translated(openai.parallel_tool_calls),
        ),
        Parameter(
            "reasoning_effort",
            Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"],
            openai=Passed(),
            anthropic=Translated(anthropic.reasoning_effort),
            responses=Translated(responses.reasoning_effort),
            preset=True,
        ),
        Parameter(
            "verbosity",
            Literal["low", "medium", "high"],
            openai=Passed(),
            anthropic=Refused("Anthropic has no verbosity: leave `verbosity` out", nothing="medium"),
            responses=Translated(responses.verbosity),
        ),
        Parameter(
            "service_tier",
            Annotated[str, Field(min_length=1, max_length=50)],
            openai=Passed(),
            anthropic=Translated(anthropic.service_tier),
            responses=Passed(),
        ),
        Parameter(
            "prompt_cache_key",
            Annotated[str, Field(min_length=1, max_length=1000)],
            openai=Passed(),
            anthropic=LeftOut(),
            responses=Passed(),
        ),
        Parameter(
            "user",
            Annotated[str, Field(min_length=1, max_length=1000)],
            openai=Passed(),
            anthropic=Translated(anthropic.user),
            responses=Passed(),
        ),
        Parameter(
            "extra",
            dict[str, Any],
            openai=Translated(_extra),
            anthropic=Translated(_extra),
            responses=Translated(_extra),
        ),
    )
}

PRESETS = tuple(name for name, parameter in PARAMETERS.items() if parameter.preset)
"""The parameters that an agent's `llm_config` may set."""


def chosen(asked: Mapping[str, Any], presets: Mapping[str, Any]) -> tuple[Document, frozenset[str]]:
    """The parameters of a request, and the names of those that it did not give, but its agent's presets."""
    given = {name: value for name in PARAMETERS if (value := asked.get(name)) is not None}
    preset = {name: value for name in PRESETS if (value := presets.get(name)) is not None}
    return preset | given, frozenset(preset.keys() - given.keys())


def said(request: ChatRequest, target: Target) -> Document:
    """The fields of a request's body, in the words of the target's wire. Raises `ProviderRefused`."""
    fields: Document = {}
    for name, value in request.parameters.items():
        for field, words in PARAMETERS[name].said(value, request, target).items():
            both = isinstance(words, dict) and isinstance(fields.get(field), dict)
            fields[field] = fields[field] | words if both else words
    return fields
