"""Does an answer agree with the specification? Whatever the tests' client is answered is held to it.

A field, a status, a header or a type that the specification does not name fails the test that saw it. A
new one has its line in `web/shapes`, in the route's `responses`, or in `@tells` of its view.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import jsonschema_rs
from flask_openapi.utils import parse_rule
from werkzeug.exceptions import HTTPException

from web.specification.document import published
from web.specification.headers import SAID

Document = dict[str, Any]

known: list[Document] = []
"""The specification, which is the same for all apps."""


def check(app: Any, method: str, path: str, response: Any) -> None:
    """Raises `AssertionError` for what the specification does not know."""
    operation = _operation(app, method, path)
    if operation is None:
        return
    said = f"{operation['operationId']} {response.status_code}"
    described = operation["responses"].get(str(response.status_code))
    assert described is not None, f"{said}: the specification does not know this status"
    described = resolved(described)
    unknown = {name for name in SAID if name in response.headers} - set(described.get("headers", {}))
    assert not unknown, f"{said}: the specification lacks the headers {unknown}"
    content = described.get("content", {})
    if not content or response.request.method == "HEAD":
        return
    media = content.get(response.mimetype) or content.get("application/octet-stream")
    assert media is not None, f"{said}: the specification lacks the type {response.mimetype}"
    if response.mimetype.endswith("json"):
        errors = [*map(told, validator(media["schema"]["$ref"]).iter_errors(response.json))]
        assert not errors, f"{said}: not as {media['schema']['$ref']} says: {errors}"


def told(error: Any) -> str:
    """Where it is, and what: where there is a choice, of the one that comes nearest."""
    choices = [branch for branch in getattr(error.kind, "context", ()) if branch]
    if choices:
        nearest = min(choices, key=lambda branch: sum("was expected" in one.message for one in branch))
        return "; ".join(map(told, nearest))
    return f"{list(error.instance_path)}: {error.message[:500]}"


def _operation(app: Any, method: str, path: str) -> Document | None:
    try:
        rule, _ = app.url_map.bind("").match(path.partition("?")[0], method, return_rule=True)
    except HTTPException:
        return None  # no such route
    calls = document(app)["paths"].get(parse_rule(rule.rule), {})
    found: Document | None = calls.get(method.lower())
    return found


def document(app: Any) -> Document:
    """The specification."""
    if not known:
        known.append(published(app))
    return known[0]


def resolved(what: Document) -> Document:
    """A response, or what it refers to."""
    found = what
    if "$ref" in what:
        found = known[0]
        for part in what["$ref"].removeprefix("#/").split("/"):
            found = found[part]
    return found


@cache
def validator(reference: str) -> jsonschema_rs.Draft202012Validator:
    """For a schema of the specification, closed: no field may be there that it does not name."""
    schemas = {name: closed(schema) for name, schema in known[0]["components"]["schemas"].items()}
    return jsonschema_rs.Draft202012Validator(
        {"$ref": reference, "components": {"schemas": schemas}}, validate_formats=True
    )


def closed(schema: Any) -> Any:
    """The schema, without room for other fields than it names."""
    if isinstance(schema, list):
        return list(map(closed, schema))
    if not isinstance(schema, dict):
        return schema
    within = {key: closed(value) for key, value in schema.items()}
    return {"additionalProperties": False, **within} if isinstance(within.get("properties"), dict) else within
