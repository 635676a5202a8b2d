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


def test_every_tick_of_core_is_in_the_schedulers_table():
    """A function `tick` is called there, or by another tick; a class that has one is imported there."""
    sources = {path: path.read_text() for path in (ROOT / "core").rglob("*.py")}
    table = set(imported("scheduler.py"))
    forgotten = [
        str(path.relative_to(ROOT))
        for path, text in sources.items()
        if "def tick(" in text
        and ".".join(path.relative_to(ROOT).with_suffix("").parts) not in table
        and not any(
            f"{path.stem}.tick(" in other
            for other in [(ROOT / "scheduler.py").read_text(), *sources.values()]
        )
    ]
    assert forgotten == [], "not in the table of scheduler.py"
