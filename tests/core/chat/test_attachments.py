"""Files of the drive in a chat: checked at the door, and each provider gets them in its own format."""

from __future__ import annotations

import base64

import pytest

from core import tokens
from core.chat import attachments, chat
from core.drive import files
from core.drive.local import LocalStorage
from core.errors import Invalid
from core.jobs.run import Run
from core.llm.types import ChatRequest, Target
from core.llm.wire import anthropic, openai
from core.services import Services
from tests.core.drive.uploads import accepted
from tests.factory import Sent

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
PDF = b"%PDF-1.4\n%\xe2\xe3"


@pytest.fixture
def storage(tmp_path):
    return LocalStorage(tmp_path)


@pytest.fixture
def file(db, storage):
    """Makes a stored file; its id."""

    def make(data, kind, name="a", **place):
        job = accepted(db, storage, data, names=[name], **place)
        record = db.drive_files.find_one({"upload_id": job["_id"]})
        storage.move(record["staged"], record["key"], kind)
        files.store(db, record, kind)
        return record["_id"]

    return make


def asked(*parts):
    return [{"role": "system", "content": "be brief"}, {"role": "user", "content": list(parts)}]


def named(file_id):
    return {"type": "file", "file_id": file_id}


def target(wire):
    return Target(provider=wire, model="m", wire=wire, base_url="https://x", api_key="k", key_kind="byokey")


def test_a_provider_gets_each_file_in_its_own_format(db, storage, file):
    ids = [
        file(PNG, "image/png"),
        file(PDF, "application/pdf", "report.pdf"),
        file("Grüße".encode(), "text/markdown", "a.md"),
    ]
    messages = attachments.told(db, storage, "w1", asked({"type": "text", "text": "look"}, *map(named, ids)))
    request, pdf = ChatRequest(messages=messages), base64.b64encode(PDF).decode()
    image = base64.b64encode(PNG).decode()
    parts = openai.to_wire(request, target("openai"))["messages"][1]["content"]
    assert parts == [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{image}"}},
        {
            "type": "file",
            "file": {"filename": "report.pdf", "file_data": f"data:application/pdf;base64,{pdf}"},
        },
        {"type": "text", "text": "The file a.md:\n\nGrüße"},
    ]
    blocks = anthropic.to_wire(request, target("anthropic"))["messages"][0]["content"]
    assert [block["type"] for block in blocks] == ["text", "image", "document", "text"]
    assert blocks[1]["source"] == {"type": "base64", "media_type": "image/png", "data": image}
    assert blocks[2]["source"] == {"type": "base64", "media_type": "application/pdf", "data": pdf}


def test_what_is_no_file_of_the_drive_is_left_as_it_is(db, storage):
    messages = [
        {"role": "user", "content": "hello"},
        {"role": "user", "content": [{"type": "file", "file": {"file_id": "file-of-openai"}}]},
        {"role": "assistant", "content": None, "tool_calls": []},
    ]
    assert attachments.told(db, storage, "w1", messages) == messages
    assert attachments.known(db, "w1", messages, agents=None) == messages


def test_a_file_that_is_not_there_is_refused_where_it_is_named(db, file):
    theirs = file(PNG, "image/png", workspace_id="w2")
    for file_id in ("nobody", theirs):
        with pytest.raises(Invalid) as refused:
            attachments.known(db, "w1", asked({"type": "text", "text": "a"}, named(file_id)), agents=None)
        assert refused.value.errors[0]["pointer"] == "/messages/1/content/1"


def test_an_agents_key_names_only_what_it_may_see(db, file):
    mine, others = file(PNG, "image/png", agent_id="a1"), file(PNG, "image/png", agent_id="a2")
    assert attachments.known(db, "w1", asked(named(mine)), agents=["a1"])
    with pytest.raises(Invalid):
        attachments.known(db, "w1", asked(named(others)), agents=["a1"])


def test_what_no_provider_takes_is_refused(db, file):
    with pytest.raises(Invalid, match="application/zip"):
        attachments.known(db, "w1", asked(named(file(b"PK", "application/zip"))), agents=None)


def test_too_much_is_refused(db, file, monkeypatch):
    monkeypatch.setattr(attachments, "MOST_BYTES", 25)
    ids = [file(b"x" * 13, "text/plain") for _ in range(2)]
    assert attachments.known(db, "w1", asked(named(ids[0])), agents=None)
    with pytest.raises(Invalid):
        attachments.known(db, "w1", asked(*map(named, ids)), agents=None)


def test_a_file_that_went_meanwhile_is_said_to_be_gone(db, storage, file):
    gone, lost = file(PNG, "image/png"), file(PNG, "image/png")
    files.mark(db, db.drive_files.find_one({"_id": gone}), files.STORED)
    storage.delete(db.drive_files.find_one({"_id": lost})["key"])
    for part in attachments.told(db, storage, "w1", asked(named(gone), named(lost)))[1]["content"]:
        assert (part["type"], "no longer there" in part["text"]) == ("text", True)


def test_limits_and_budgets_count_a_text_by_its_bytes_and_an_image_as_one(db, file):
    bare = tokens.at_most(asked(named("x" * 36)))
    text = attachments.known(db, "w1", asked(named(file(b"x" * 30_000, "text/plain"))), agents=None)
    assert tokens.at_most(text) >= bare + 10_000
    image = attachments.known(db, "w1", asked(named(file(PNG * 10_000, "image/png"))), agents=None)
    assert tokens.at_most(image) < 2 * tokens.A_PART + bare


def test_what_a_client_says_of_a_files_size_is_not_believed(db, file):
    part = {**named(file(b"x" * 300, "text/plain")), "bytes": -(10**9)}
    assert attachments.known(db, "w1", asked(part), agents=None)[1]["content"][0]["bytes"] == 300


def test_it_is_read_at_the_call_and_not_kept_in_the_job(db, settings, redis_client, storage, file):
    services = Services(settings, db.client, redis_client, None, Sent())
    services.settings = settings.model_copy(update={"mongodb_database": db.name})
    job = {"_id": "j", "workspace_id": "w1", "request": {"messages": asked(named(file(b"hi", "text/plain")))}}
    request = chat._with_files(Run(services, job), ChatRequest(messages=job["request"]["messages"]), storage)
    assert "hi" in request.messages[1]["content"][0]["text"]
    assert job["request"]["messages"][1]["content"][0]["type"] == "file"
