"""A client that openapi-python-client makes of the specification: it does what its users would."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests import agreeing
from tests.web.conftest import ADMIN

PACKAGE = "vutler_client"
CHANGES = ("agent_changes", "key_changes", "file_changes", "workspace_changes")


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """Makes the client, once; the folder that it is in."""
    folder = tmp_path_factory.mktemp("generated")

    def make(app):
        if not (folder / PACKAGE).exists():
            (folder / "openapi.json").write_text(json.dumps(agreeing.document(app)))
            generate(folder)
        return str(folder)

    return make


def generate(folder):
    """A warning would be a call that is missing in the client."""
    asked = ["--path", "openapi.json", "--meta", "none", "--output-path", PACKAGE, "--fail-on-warning"]
    done = subprocess.run(
        [sys.executable, "-m", "openapi_python_client", "generate", *asked],
        cwd=folder,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def module(app, made, monkeypatch):
    """A module of the client, by name."""
    monkeypatch.syspath_prepend(made(app))
    return lambda name: importlib.import_module(f"{PACKAGE}.{name}")


@pytest.fixture
def client(app, module):
    client = module("client").AuthenticatedClient("http://vutler", ADMIN, raise_on_unexpected_status=True)
    transport = httpx.WSGITransport(app)
    headers = {"Authorization": f"Bearer {ADMIN}"}
    with httpx.Client(transport=transport, base_url="http://vutler", headers=headers) as http:
        yield client.set_httpx_client(http)


@pytest.mark.usefixtures("worked_on")
def test_it_chats_and_lists_the_jobs_page_by_page(module, client, agent):
    chat, list_jobs = module("api.chat.chat"), module("api.jobs.list_jobs")
    body = module("models.chat").Chat(message="Hello!")
    jobs = [chat.sync(agent, client=client, body=body, prefer="wait=20") for _ in range(2)]
    assert [type(job).__name__ for job in jobs] == ["ChatJob"] * 2
    assert [job.result.message.content for job in jobs] == ["Hello."] * 2
    first = list_jobs.sync(client=client, limit=1)
    second = list_jobs.sync(client=client, limit=1, cursor=first.next_cursor)
    assert [page.items[0].id for page in (first, second)] == [job.id for job in reversed(jobs)]
    assert second.next_cursor is None


def test_its_change_of_an_agent_changes_nothing_that_it_was_not_told(module, client, member, agent):
    made = {"on_worker_loss": "fail", "tools": ["a"], "metadata": {"a": 1}, "drive_sync": True}
    before = member.patch(f"/agents/{agent}", made).json
    body = module("models.agent_changes").AgentChanges(description="newer")
    changed = module("api.agents.change_agent").sync(agent, client=client, body=body).to_dict()
    after = member.get(f"/agents/{agent}").json
    assert after == {**before, "description": "newer", "updated_at": after["updated_at"]}
    assert changed["id"] == agent


def test_none_of_its_changes_says_anything_by_itself(module):
    for name in CHANGES:
        shape = getattr(module(f"models.{name}"), name.title().replace("_", ""))
        assert shape().to_dict() == {}, name


def test_what_it_is_refused_it_can_read(module, client):
    answer = module("api.agents.get_agent").sync("none", client=client)
    assert (type(answer).__name__, answer.status, answer.code) == ("Problem", 404, "not_found")
