"""Layers: what import-linter cannot see, since it reads packages and `scheduler.py` is none."""

import ast

from tests.stack import ROOT

OURS = ("core", "web", "workers")


def test_the_scheduler_knows_core_and_the_broker_alone():
    modules = {name for name in imported("scheduler.py") if name.split(".")[0] in OURS}
    assert {name for name in modules if name.split(".")[0] != "core"} == {"workers.broker"}


def imported(path):
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.ImportFrom):
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
