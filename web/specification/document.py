"""The whole document: flask-openapi's, with the shapes of answers, headers, failures and webhooks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

from flask_openapi import OpenAPI
from flask_openapi.utils import parse_rule
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from web import access
from web.shapes import told
from web.shapes.door import OpenAIError
from web.shapes.problems import OverLimitProblem, UnavailableProblem
from web.specification import failures, hooks, says
from web.specification.headers import SAID, asked, parameters, said
from web.specification.tidy import described, never_null, of_body, tidied

Document = dict[str, Any]
View = Callable[..., Any]

UNNAMED: tuple[type[BaseModel], ...] = (
    OpenAIError,
    OverLimitProblem,
    UnavailableProblem,
    told.JobEvent,
    *(shape for shape, _ in hooks.HOOKS.values()),
)
"""Shapes that no view names."""
WEBHOOKS = {"name": "webhooks", "description": "What this server sends to URLs that were given to it"}


def published(app: OpenAPI) -> Document:
    """The document, whole."""
    found = deepcopy(app.api_doc)
    for path, method, view in operations(app):
        _complete(found["paths"][path][method], path, view)
    found["components"] |= {
        "schemas": _schemas(found),
        "headers": SAID,
        "parameters": parameters(),
        "responses": _used(failures.responses(), found["paths"]),
    }
    servers = [{"url": "/", "description": "this server"}]
    tags = [*found["tags"], WEBHOOKS]
    return {**found, "servers": servers, "tags": tags, "webhooks": hooks.webhooks()}


def operations(app: OpenAPI) -> Iterator[tuple[str, str, View]]:
    """(path, method, view) of what the document describes."""
    for rule in app.url_map.iter_rules():
        path = parse_rule(rule.rule)
        for method in sorted(rule.methods or ()):
            if method.lower() in app.api_doc["paths"].get(path, {}):
                yield path, method.lower(), app.view_functions[rule.endpoint]


def _complete(operation: Document, path: str, view: View) -> None:
    """What the view says beside its route: who may call it, its headers, how it fails."""
    operation["description"] = _described(operation)
    if access.of(view).public:
        operation["security"] = []
    given = [_parameter(one) for one in operation.get("parameters", ())]
    named = [*(("X-Workspace",) if operation["security"] else ()), *says.taken(view), "X-Request-Id"]
    successes = {status: _success(one, operation) for status, one in _successes(operation).items()}
    operation["parameters"] = given + [asked(name) for name in says.taken(view)]
    answers = {**failures.of(operation, path, says.failing(view)), **successes}
    operation["parameters"] = given + [asked(name) for name in named]
    operation["responses"] = dict(sorted(answers.items()))


def _described(operation: Document) -> str:
    """The whole docstring: flask-openapi has its first line apart, and breaks the others for HTML."""
    more = operation.get("description", "").removeprefix("<br/>").replace("<br/>", "\n")
    return f"{operation['summary']}\n\n{more}" if more else str(operation["summary"])


def _parameter(parameter: Document) -> Document:
    schema = never_null(tidied(parameter["schema"]))
    schema.pop("description", None)
    return described(parameter["name"], {**parameter, "schema": schema})


def _successes(operation: Document) -> Document:
    return {status: one for status, one in operation["responses"].items() if status[0] in "123"}


def _success(response: Document, operation: Document) -> Document:
    limited = ("RateLimit", "RateLimit-Policy") if operation["security"] else ()
    return {**response, "headers": response.get("headers", {}) | said("X-Request-Id", *limited)}


def _used(responses: Document, paths: Document) -> Document:
    """Those that an operation refers to."""
    named = {
        response.get("$ref", "").rpartition("/")[2]
        for methods in paths.values()
        for operation in methods.values()
        for response in operation["responses"].values()
    }
    return {name: response for name, response in responses.items() if name in named}


def _schemas(found: Document) -> Document:
    """The bodies that flask-openapi knows, and the shapes of answers."""
    shapes: list[type[BaseModel]] = [*says.SHAPES.values(), *UNNAMED]
    _, whole = models_json_schema(
        [(shape, "serialization") for shape in shapes], ref_template="#/components/schemas/{model}"
    )
    bodies = {name: of_body(tidied(schema)) for name, schema in found["components"]["schemas"].items()}
    answers = {name: tidied(schema) for name, schema in whole["$defs"].items()}
    return dict(sorted({**bodies, **answers}.items()))
