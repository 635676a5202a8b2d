"""/openapi.json and /docs."""

from __future__ import annotations

import base64
import hashlib
import importlib
import inspect
import pkgutil
import re

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

import web.api
import web.doors
from core.jobs import kinds
from web import access
from web.app import RESOURCES
from web.shapes import jobs
from web.specification.document import operations


@pytest.fixture
def specification(app):
    return app.test_client().get("/openapi.json").json


def test_the_specification_names_every_route_of_the_api(app, specification):
    rules = {
        re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api/")
    }
    assert rules <= set(specification["paths"])


def test_every_call_says_what_it_does_and_how_it_fails(specification):
    assert specification["openapi"] == "3.1.1"
    for path, method, call in calls(specification):
        assert call["description"].startswith(call["summary"]), path
        assert "<br" not in call["description"], path
        kinds = {kind for kind, _ in failures(specification, call)}
        assert kinds <= {"application/json" if path.startswith("/v1/") else "application/problem+json"}
        if call.get("requestBody"):
            assert {"400", "413"} <= set(call["responses"]), (method, path)


def test_every_list_in_a_body_has_a_bound(specification):
    asked = [call["requestBody"]["content"] for _, _, call in calls(specification) if "requestBody" in call]
    bodies = [content.get("application/json") for content in asked]  # files of a form are read one by one
    lists = [found for body in bodies for found in arrays(body, specification["components"]["schemas"])]
    assert len(lists) > 10
    assert [found for found in lists if "maxItems" not in found] == []


def arrays(schema, named, seen=frozenset()):
    """Every list of a schema, wherever it stands."""
    if isinstance(schema, list):
        return [found for one in schema for found in arrays(one, named, seen)]
    if not isinstance(schema, dict):
        return []
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    if name:
        return [] if name in seen else arrays(named[name], named, seen | {name})
    own = [schema] if schema.get("type") == "array" else []
    return own + arrays(list(schema.values()), named, seen)


def test_the_door_fails_in_openais_shape(specification):
    for path, _, call in calls(specification):
        schemas = {schema for _, schema in failures(specification, call)}
        is_door = path.startswith("/v1/")
        assert (schemas == {"OpenAIError"}) if is_door else ("OpenAIError" not in schemas), path


def test_every_success_has_a_shape(specification):
    for path, method, call in calls(specification):
        for status, response in call["responses"].items():
            if status in {"200", "201", "202"}:
                shown = response.get("content", {}).values()
                assert shown, f"{method} {path} {status}: its `responses` needs `shows(...)`"
                assert all(media["schema"] for media in shown)


def test_every_kind_of_job_has_the_shape_of_its_result():
    assert set(jobs.RESULTS) == set(kinds.KINDS), "see RESULTS in web/shapes/jobs.py"


def test_every_name_of_a_call_is_its_own_and_can_be_a_method(specification):
    names = [call["operationId"] for *_, call in calls(specification)]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", name) for name in names), names


def test_only_what_is_public_asks_for_no_key(app, specification):
    for path, method, view in operations(app):
        call = specification["paths"][path][method]
        assert (call["security"] == []) == access.of(view).public, path


def test_everything_is_described(specification):
    for name, schema in specification["components"]["schemas"].items():
        assert schema.get("description"), f"{name} needs a docstring"
        for field, what in schema.get("properties", {}).items():
            assert what.get("description"), f"{name}.{field} needs a description, of its own or in words.py"
    for path, method, call in calls(specification):
        for parameter in call["parameters"]:
            described = parameter.get("description") or "$ref" in parameter
            assert described, (
                f"{parameter['name']} of {method} {path} needs a description, or one in words.py"
            )


def test_no_body_has_defaults_which_clients_would_fill_in(specification):
    for name, schema in specification["components"]["schemas"].items():
        assert not any("default" in what for what in schema.get("properties", {}).values()), name
    told = specification["components"]["schemas"]["NewKey"]["properties"]["role"]["description"]
    assert told.endswith('(default: "member")')


def test_tried_out_as_it_is_a_chat_waits_for_its_answer(specification):
    call = specification["paths"]["/api/v1/agents/{agent_id}/chat"]["post"]
    assert {"$ref": "#/components/parameters/Prefer"} in call["parameters"]
    assert specification["components"]["parameters"]["Prefer"]["example"] == "wait=60"
    assert call["parameters"][0]["example"] == "agent:demo"
    assert "example" not in specification["components"]["parameters"]["Idempotency-Key"]


def test_the_document_is_valid(specification):
    OpenAPIV31SpecValidator(specification).validate()
    assert specification["servers"] == [{"url": "/", "description": "this server"}]


def test_no_component_is_there_for_nothing(specification):
    text = str(specification)
    for kind, named in specification["components"].items():
        for name in named if kind != "securitySchemes" else ():
            assert f"#/components/{kind}/{name}'" in text, f"nothing refers to {name}"


def test_every_reference_leads_somewhere(specification):
    for kind, found in re.findall(r"#/components/(\w+)/([^'\"]+)", str(specification)):
        assert found in specification["components"][kind]


def test_the_page_loads_its_files_and_may_run_just_its_own_script(app):
    client = app.test_client()
    page = client.get("/docs")
    policy = page.headers["Content-Security-Policy"]
    script_policy = re.search(r"script-src ([^;]+)", policy)[1]
    assert "unsafe-inline" not in script_policy
    for script in re.findall(r"<script>(.*?)</script>", page.text, re.DOTALL):
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in script_policy
    files = re.findall(r'(?:src|href)="(swagger/[^"]+)"', page.text)
    assert len(files) >= 3
    for file in files:
        with client.get(f"/{file}") as answer:
            assert answer.status_code == 200


def test_every_resource_is_one_of_the_apps():
    for module in (*modules_of(web.api), *modules_of(web.doors)):
        found = getattr(module, "api", None)
        assert found is None or found in RESOURCES, f"RESOURCES in web/app.py lack {module.__name__}"


def test_no_two_bodies_share_a_name(app):
    """The specification knows each by its name alone, and would show one for both."""
    seen = {}
    for view in app.view_functions.values():
        body = inspect.signature(view, eval_str=True).parameters.get("body")
        if body is None:
            continue
        whole = body.annotation.model_json_schema(ref_template="#/components/schemas/{model}")
        for name, schema in {body.annotation.__name__: whole, **whole.pop("$defs", {})}.items():
            assert seen.setdefault(name, schema) == schema, f"two bodies are called {name}: one is not shown"
    assert {"Chat", "Completion", "Message"} <= set(seen)


def modules_of(package):
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        yield importlib.import_module(found.name)


def calls(specification):
    assert len(specification["paths"]) > 20
    for path, methods in specification["paths"].items():
        for method, call in methods.items():
            yield path, method, call


def failures(specification, call):
    """(type, name of the schema) of each way in which a call may fail."""
    for response in call["responses"].values():
        if "$ref" in response:
            shared = specification["components"]["responses"][response["$ref"].rpartition("/")[2]]
            for kind, media in shared["content"].items():
                yield kind, media["schema"]["$ref"].rpartition("/")[2]
