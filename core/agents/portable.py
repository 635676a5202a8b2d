"""An agent's configuration as a document that travels: without its name's claim, without any key. Pure."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic_core import to_json

from core.agents import fields
from core.documents import Agent
from core.errors import Invalid
from core.store import free_json

Document = dict[str, Any]

FORMAT = 1


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


def _of(name: str, rows: tuple[fields.Row, ...]) -> Any:
    found: dict[str, Any] = {row.name: (row.type, row.default) for row in rows}
    return create_model(name, __base__=_Strict, **found)


class Portable(_Strict):
    """`name`: what it was called; whoever takes it in has a name already."""

    format: int = Field(ge=1, le=FORMAT)
    name: str
    agent: _of("Fields", fields.AGENT)  # type: ignore[valid-type] # each row is a field
    llm_config: _of("LlmConfig", fields.LLM_CONFIG) | None  # type: ignore[valid-type]


def packed(agent: Agent) -> bytes:
    """As JSON."""
    config = agent["llm_config"]
    portable = {
        "format": FORMAT,
        "name": agent["name"],
        "agent": fields.stored(fields.AGENT, agent),
        "llm_config": config and fields.stored(fields.LLM_CONFIG, config),
    }
    return to_json(portable, indent=1)


def unpacked(data: bytes) -> Document:
    """`agent` and `llm_config`, as a request would give them. Raises `Invalid`, which names what is wrong."""
    try:
        portable = Portable.model_validate(free_json.parsed(data))
    except Invalid as problem:
        raise _unusable(problem.detail) from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "it"
        raise _unusable(f"{where}: {first['msg']}") from None
    return portable.model_dump(include={"agent", "llm_config"})


def _unusable(why: str) -> Invalid:
    return Invalid(f"the configuration cannot be used: {why}")
