"""/openapi.json and /docs."""

from __future__ import annotations

import base64
import hashlib
import importlib
import inspect
import pkgutil
import re

import pytest

import web.api
import web.doors
from web.app import RESOURCES


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
    for path, calls in specification["paths"].items():
        for call in calls.values():
            assert call["summary"], path
            assert "application/problem+json" in call["responses"]["422"]["content"]
            if path.startswith("/api/"):
                assert call["security"], path


def test_every_reference_leads_somewhere(specification):
    names = set(specification["components"]["schemas"])
    for found in re.findall(r"#/components/schemas/([^'\"]+)", str(specification)):
        assert found in names


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
