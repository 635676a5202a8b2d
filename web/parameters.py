"""The parameters of a chat as fields of a body: one for each row of `core.llm.parameters`."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, create_model

from core.llm.parameters import PARAMETERS


def with_parameters(base: type[BaseModel], *, aliases: bool = False) -> Any:
    """A model to derive from: the fields of `base`, then the parameters, all optional."""
    fields: dict[str, Any] = {}
    for name, parameter in PARAMETERS.items():
        for called in (name, *parameter.aliases) if aliases else (name,):
            fields[called] = (parameter.type | None, None)
    return create_model(f"{base.__name__}WithParameters", __base__=base, **fields)


def under_their_names(body: BaseModel) -> dict[str, Any]:
    """The parameters that a body gives, by their own names; an alias wins over the name itself."""
    found: dict[str, Any] = {}
    for name, parameter in PARAMETERS.items():
        given = (getattr(body, called) for called in (*parameter.aliases, name))
        value = next((one for one in given if one is not None), None)
        if value is not None:
            found[name] = value
    return found
