"""The fields of an agent and of its `llm_config`: one row each, with its type and its default.

The bodies that set the fields, the stored documents and what the API shows all follow from these rows. Keys
of providers have no row: `core.agents.agent_config` seals them and shows a hint.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import copy
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic_core import to_json

from core.documents import LimitPolicy
from core.llm import parameters

MOST_METADATA = 16 * 1024
"""Bytes, as JSON."""
LONGEST_NAME = 200


def _small(metadata: dict[str, Any]) -> dict[str, Any]:
    if len(to_json(metadata)) > MOST_METADATA:
        raise ValueError(f"at most {MOST_METADATA} bytes")
    return metadata


Metadata = Annotated[dict[str, Any], AfterValidator(_small)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_NAME, pattern=r"^\S(.*\S)?$")]
Short = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Url = Annotated[str, StringConstraints(min_length=1, max_length=2000, pattern=r"^https?://[^\s]+$")]
MaxRunning = Annotated[int, Field(ge=1, le=1_000_000)] | None
RUNNING_AT_ONCE = "how many of its jobs may ask providers at the same time; what is above waits"


class Fallback(BaseModel):
    """A provider to ask next, with the key that `keys` has for it."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)
    provider: Short
    model: Short | None = None


@dataclass(frozen=True)
class Row:
    """`type`: what pydantic takes in a body. `default`: what is stored when the body says nothing."""

    name: str
    type: Any
    default: Any = None
    description: str | None = None


AGENT = (
    Row("email", Annotated[str, StringConstraints(max_length=320, pattern=r"^[^@\s]+@[^@\s]+$")] | None),
    Row("description", Annotated[str, StringConstraints(max_length=10_000)] | None),
    Row("system_prompt", Annotated[str, StringConstraints(max_length=1_000_000)] | None),
    Row("tools", Annotated[list[Short], Field(max_length=200)], [], "names of the runtime's tools"),
    Row("metadata", Metadata, {}),
    Row("on_worker_loss", Literal["retry", "fail"], "retry"),
    Row("content_retention", Annotated[str, StringConstraints(pattern=r"^(none|done|\d{1,4}d?)$")] | None),
    Row(
        "runtime_budget_usd",
        Annotated[float, Field(ge=0, le=1_000_000_000)] | None,
        None,
        "what the agent's own process may spend a period; null: any amount",
    ),
    Row("runtime_budget_period", Literal["day", "month"], "month"),
    Row(
        "drive_sync",
        bool,
        False,
        "its process sees its files in workspace/drive, and what it writes to workspace/out becomes one",
    ),
    Row("max_running", MaxRunning, None, RUNNING_AT_ONCE),
    Row("limit_policy", LimitPolicy | None, None, "null: the workspace's; the stricter of the two holds"),
)
"""The name has no row: it alone must be given."""

LLM_CONFIG = (
    Row("provider", Short | None),
    Row("model", Short | None),
    Row("custom_endpoint", Url | None),
    Row("credential", Short | None),
    Row("managed", bool, False),
    Row("tier", Short | None),
    *(
        Row(preset.name, preset.type | None, preset.default)
        for preset in map(parameters.PARAMETERS.__getitem__, parameters.PRESETS)
    ),
    Row("fallback", Annotated[list[Fallback], Field(max_length=10)] | None),
    Row("allow_managed_fallback", bool, False),
    Row(
        "wire",
        Literal["responses", "chat"] | None,
        None,
        "of `openai`: which of its APIs is spoken; null: what the model needs, and chat at a custom endpoint",
    ),
    Row("content_fallback", bool, False, "what one provider's policy refuses, ask the next"),
)


def names(rows: Iterable[Row]) -> tuple[str, ...]:
    """The names of these rows, in their order."""
    return tuple(row.name for row in rows)


def stored(rows: Iterable[Row], given: Mapping[str, Any]) -> Any:
    """The values to store: what was given; the default where nothing, or null, was given."""
    return {row.name: copy(row.default) if given.get(row.name) is None else given[row.name] for row in rows}
