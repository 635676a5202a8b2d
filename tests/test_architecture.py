"""What the documents say of the code: the collections, the indexes of jobs, and files that are there."""

from __future__ import annotations

import re

import pytest
from pymongo.database import Database

from core.store.indexes import INDEXES
from tests.stack import ROOT

ARCHITECTURE = (ROOT / "docs/architecture.md").read_text()
COLLECTIONS = ARCHITECTURE.partition("## Collections")[2].partition("## Layers")[0]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
OURS = re.compile(r"`((?:core|web|workers|tests|bench|docs)/[\w./-]*|\w+\.py)`")
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


def used():
    """The collections that the code names: `db.jobs`, `db().agents`."""
    sources = [path for folder in ("core", "web", "workers") for path in (ROOT / folder).rglob("*.py")]
    named = {name for path in sources for name in re.findall(r"\bdb(?:\(\))?\.([a-z_]+)", path.read_text())}
    return {name for name in named if not hasattr(Database, name)}


def test_each_collection_has_a_row_and_each_row_is_of_one():
    rows = re.findall(r"^\| (`.*?) \|", COLLECTIONS, re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == used() | set(INDEXES)


def test_what_each_index_of_jobs_is_for_is_said():
    (said,) = re.findall(r"^Indexes of `jobs`: (.*?)\. ", COLLECTIONS, re.MULTILINE | re.DOTALL)
    assert re.findall(r"`(\w+)`", said) == [index.document["name"] for index in INDEXES["jobs"]]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_the_files_that_a_document_names_are_there(document):
    text = document.read_text()
    gone = [path for path in OURS.findall(text) if not (ROOT / path).exists() and "NAME" not in path]
    assert gone + [link for link in LINK.findall(text) if not (document.parent / link).exists()] == []
