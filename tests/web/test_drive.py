"""The drive over HTTP: up, down, listed, changed, deleted; whose files they are, and what is refused."""

from __future__ import annotations

import io
from datetime import timedelta
from email.utils import format_datetime, parsedate_to_datetime

import pytest

from core.drive import jobs
from core.jobs.run import Runner
from tests.core.drive.test_form import END, part
from tests.core.jobs.test_run import Inline
from tests.naughty import LIST, MORE

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
LARGEST = 200_000


@pytest.fixture
def services(services, tmp_path):
    """The drive's jobs are carried out as they are sent."""
    changes = {"drive_max_file_size": LARGEST, "drive_quota": 1_000_000}
    settings = services.settings.model_copy(update={"drive_storage_path": tmp_path / "drive", **changes})
    services.settings = settings
    handlers = jobs.handlers(services)

    def carry_out(job):
        if job["queue"] == f"drive.{settings.worker_host}":
            Runner(services, "p1", handlers, start=Inline, lost=lambda: True).run(job["_id"])

    services.send = carry_out
    return services


@pytest.fixture
def folder(services):
    return services.settings.drive_folder


def send(client, body, headers=None, **more):
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    return client.post("/drive/upload", data=body, headers={**kind, **(headers or {})}, **more)


def saying(client, body, length):
    """An upload whose Content-Length is this, whatever its body is."""
    said = {"CONTENT_LENGTH": str(length), "CONTENT_TYPE": "multipart/form-data; boundary=b"}
    return client.post("/drive/upload", input_stream=body, environ_overrides=said)


def uploaded(client, data=b"hello", name="a.txt", **fields):
    """The record of an uploaded file."""
    form = b"".join(part(field, value.encode()) for field, value in fields.items())
    answer = send(client, form + part("file", data, filename=name) + END, {"Prefer": "wait=60"})
    assert answer.status_code == 200, answer.text
    assert answer.json["status"] == "succeeded", answer.json["error"]
    return answer.json["result"]


def download(client, record, **headers):
    said = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.get(f"/drive/download/{record['id']}", headers=said)


def kept(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_file_goes_up_and_comes_down(member, folder):
    record = uploaded(member, PNG, "photo.txt")
    assert (record["name"], record["path"], record["size"]) == ("photo.txt", "photo.txt", len(PNG))
    assert (record["media_type"], record["visibility"], record["agent_id"]) == ("image/png", "private", None)
    assert member.get(record["links"]["self"]).json == record
    answer = member.get(record["links"]["download"])
    assert (answer.status_code, answer.data) == (200, PNG)
    assert answer.headers["Content-Type"] == "image/png"
    assert answer.headers["ETag"] == f'"{record["sha256"]}"'
    assert answer.headers["Content-Length"] == str(len(PNG))
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert len(kept(folder)) == 1


def test_an_upload_is_a_job(member):
    answer = send(member, part("file", b"one", filename="a") + part("file", b"two", filename="b") + END)
    assert answer.status_code == 202
    job = member.get(answer.headers["Location"]).json
    assert (job["kind"], job["status"]) == ("drive_upload", "succeeded")
    assert [file["name"] for file in job["result"]["files"]] == ["a", "b"]


def test_a_file_of_an_agent_in_a_folder_for_all(member, agent):
    record = uploaded(member, agent_id=agent, path="reports/", visibility="workspace")
    assert (record["agent_id"], record["path"]) == (agent, "reports/a.txt")
    assert record["visibility"] == "workspace"
    assert uploaded(member, agent_id="agent:scout")["agent_id"] == agent


def test_an_upload_for_an_agent_that_there_is_not(member, folder):
    refused = [
        send(member, part("agent_id", named) + part("file", b"x", filename="a") + END)
        for named in (b"another", b"agent:another")
    ]
    assert [(answer.status_code, answer.json["detail"]) for answer in refused] == [(404, "no such agent")] * 2
    assert send(member, part("agent_id", b"") + part("file", b"x", filename="a") + END).status_code == 422
    assert kept(folder) == []


TOGETHER = 40
FORMS = [
    *((some, "/".join(some)) for some in (LIST[n : n + TOGETHER] for n in range(0, len(LIST), TOGETHER))),
    *(([name], name) for name in MORE),
]
"""(names of the files, the path) of each upload: all names, and all paths, of which those of ours alone."""


def test_any_name_and_any_path_come_back_as_they_were(member, folder):
    outside = set(folder.parent.rglob("*")) - set(folder.rglob("*"))
    known = {}
    for names, path in FORMS:
        for name, record in zip(names, sent_as(member, names, path), strict=True):
            assert record["name"] == name
            assert record["path"] == within(path, name, alone=names == [name])
            known[record["id"]] = record
            said = download(member, record).headers["Content-Disposition"]
            assert said.isascii()
            assert exactly(unquoted(said)) == exactly(name) or not name
    listed, cursor = {}, ""
    while cursor is not None:
        page = member.get(
            f"/drive/files?limit=200&cursor={cursor}" if cursor else "/drive/files?limit=200"
        ).json
        listed |= {file["id"]: file for file in page["items"]}
        cursor = page["next_cursor"]
    assert listed == known
    assert len(known) == len(LIST + MORE)
    assert set(folder.parent.rglob("*")) - set(folder.rglob("*")) == outside


def sent_as(client, names, path):
    """The records of files of these names, uploaded at once."""
    head = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename*=UTF-8''{}\r\n\r\nx\r\n"
    files = "".join(head.format(exactly(name)) for name in names).encode()
    answer = send(client, part("path", path.encode()) + files + END, {"Prefer": "wait=60"})
    assert answer.status_code == 200, (names, answer.text)
    result = answer.json["result"]
    return [result] if len(names) == 1 else result["files"]


def within(path, name, *, alone):
    if path.endswith("/"):
        return path + name
    return path if alone else f"{path}/{name}"


def exactly(name):
    return "".join(f"%{byte:02X}" for byte in name.encode())


def unquoted(disposition):
    from urllib.parse import unquote

    return unquote(disposition.partition("filename*=UTF-8''")[2])


@pytest.mark.parametrize(
    ("data", "name", "shown"),
    [
        (PNG, "a.png", True),
        (b"hello", "a.txt", True),
        (b"<html><script>alert(1)</script>", "a.png", False),
        (b'<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>', "a.svg", False),
        (b"%PDF-1.4\n", "a.pdf", False),
        (b"\0\1\2", "a.bin", False),
    ],
)
def test_what_a_browser_would_run_it_gets_as_a_file(member, data, name, shown):
    answer = download(member, uploaded(member, data, name))
    assert answer.headers["Content-Disposition"].startswith("inline" if shown else "attachment")
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_part_is_downloaded(member):
    record = uploaded(member, bytes(range(256)) * 400)
    answer = download(member, record, Range="bytes=1000-1999")
    assert (answer.status_code, answer.data) == (206, (bytes(range(256)) * 400)[1000:2000])
    assert answer.headers["Content-Range"] == "bytes 1000-1999/102400"
    assert answer.headers["Content-Length"] == "1000"
    assert download(member, record, Range="bytes=-1").data == b"\xff"


def test_a_part_that_there_is_not(member):
    answer = download(member, uploaded(member), Range="bytes=5-")
    assert (answer.status_code, answer.json["code"]) == (416, "range_not_satisfiable")
    assert answer.json["title"] == "There is no such part"
    assert answer.headers["Content-Range"] == "bytes */5"


def test_a_broken_download_goes_on_only_with_the_same_file(member):
    one, two = uploaded(member, b"hello"), uploaded(member, b"world")
    assert download(member, one, Range="bytes=2-", If_Range=f'"{one["sha256"]}"').status_code == 206
    assert download(member, one, Range="bytes=2-", If_Range=f'"{two["sha256"]}"').data == b"hello"


def test_what_a_client_has_is_not_sent_again(member):
    record = uploaded(member)
    answer = download(member, record, If_None_Match=f'"{record["sha256"]}"')
    assert (answer.status_code, answer.data) == (304, b"")
    assert answer.headers["ETag"] == f'"{record["sha256"]}"'
    modified = download(member, record).headers["Last-Modified"]
    assert download(member, record, If_Modified_Since=modified).status_code == 304
    earlier = format_datetime(parsedate_to_datetime(modified) - timedelta(seconds=1), usegmt=True)
    assert download(member, record, If_Modified_Since=earlier).status_code == 200
    assert download(member, record, If_Match='"other"').status_code == 412


def test_a_head_tells_what_a_get_would(member, services, monkeypatch):
    record = uploaded(member)
    monkeypatch.setattr("core.drive.local.LocalStorage.read", None)  # it opens nothing
    answer = member("HEAD", f"/drive/download/{record['id']}", headers={"Range": "bytes=1-2"})
    assert (answer.status_code, answer.data) == (200, b"")
    assert answer.headers["Content-Length"] == "5"
    assert answer.headers["ETag"] == f'"{record["sha256"]}"'


def test_an_empty_file(member):
    record = uploaded(member, b"")
    answer = download(member, record)
    assert (answer.status_code, answer.data, answer.headers["Content-Length"]) == (200, b"", "0")


def test_bytes_that_are_missing_or_others_never_begin_as_a_200(member, folder):
    record = uploaded(member)
    (path,) = kept(folder)
    path.write_bytes(b"longer than it was")
    assert download(member, record).json["code"] == "bytes_missing"
    path.unlink()
    assert download(member, record).json["code"] == "bytes_missing"


def test_a_file_is_renamed_and_moved(member):
    record = uploaded(member)
    changed = member.patch(f"/drive/files/{record['id']}", {"name": "b.txt", "path": "c/b.txt"})
    assert (changed.json["name"], changed.json["path"]) == ("b.txt", "c/b.txt")
    assert "b.txt" in download(member, record).headers["Content-Disposition"]
    assert member.patch(f"/drive/files/{record['id']}", {"size": 3}).status_code == 422
    assert member.patch(f"/drive/files/{record['id']}", {"name": "é" * 9000}).status_code == 422
    assert member.patch(f"/drive/files/{record['id']}", {"visibility": "public"}).status_code == 422


def test_a_deleted_file_is_gone_with_its_bytes(member, folder):
    record = uploaded(member)
    assert member.delete(f"/drive/files/{record['id']}").status_code == 204
    for answer in (
        member.get(f"/drive/files/{record['id']}"),
        member.delete(f"/drive/files/{record['id']}"),
        member.patch(f"/drive/files/{record['id']}", {"name": "b"}),
        download(member, record),
    ):
        assert answer.status_code == 404
    assert member.get("/drive/files").json["items"] == []
    assert kept(folder) == []


def test_the_list_has_filters(member, agent):
    one = uploaded(member, PNG, "a/1")
    uploaded(member, b"hello", "b/2", agent_id=agent)
    for query, found in [
        ("prefix=a/", ["a/1"]),
        (f"agent_id={agent}", ["b/2"]),
        ("agent_id=agent:scout", ["b/2"]),
        ("agent_id=agent:another", []),
        ("media_type=image/*", ["a/1"]),
        ("media_type=text/plain", ["b/2"]),
        ("max_size=10", ["b/2"]),
        ("min_size=10", ["a/1"]),
        (f"since={one['created_at']}", ["b/2", "a/1"]),
        ("since=2999-01-01T00:00:00Z", []),
        ("until=2020-01-02T00:00:00Z", []),
        ("limit=1", ["b/2"]),
    ]:
        assert [file["path"] for file in member.get(f"/drive/files?{query}").json["items"]] == found, query
    assert member.get("/drive/files?prefx=a").status_code == 422


def test_usage_and_quota(member):
    uploaded(member, b"x" * 1000)
    assert member.get("/drive/usage").json == {"bytes": 1000, "quota": 1_000_000}


def test_over_the_quota_nothing_is_kept(member, folder):
    for _ in range(5):
        uploaded(member, b"x" * LARGEST)
    refused = send(member, part("file", b"x", filename="a") + END)
    assert (refused.status_code, refused.json["code"]) == (413, "quota_exceeded")
    assert refused.headers["Connection"] == "close"
    assert len(kept(folder)) == 5


def test_a_file_that_is_too_large_is_refused_and_nothing_is_kept(member, services, folder):
    refused = send(member, part("file", b"x" * (LARGEST + 1), filename="a") + END)
    assert (refused.status_code, refused.json["code"]) == (413, "too_large")
    assert refused.headers["Connection"] == "close"
    assert kept(folder) == []
    assert services.db.drive_files.count_documents({}) == 0
    assert services.db.drive_uploads.count_documents({}) == 0
    assert services.db.jobs.count_documents({"kind": "drive_upload"}) == 0
    assert uploaded(member, b"x" * LARGEST)["size"] == LARGEST


def test_what_is_too_long_as_a_whole_is_not_read(member):
    class Unread(io.BytesIO):
        def read(self, size=-1):
            raise AssertionError("it was read")

    refused = saying(member, Unread(), 10**12)
    assert refused.status_code == 413


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"nonsense", {}, 400),
        (part("file", b"x" * 50, filename="a"), {}, 400),
        (b"".join(part(f"f{n}", b"x") for n in range(10_000)) + END, {}, 413),
        (part("file", b"x", filename="a") + END, {"Content-Type": "multipart/form-data"}, 400),
        (part("file", b"x", filename="a") + END, {"Content-Type": "application/json"}, 415),
        (part("file", b"x", filename="a") + part("nonsense", b"y") + END, {}, 422),
        (part("file", b"x", filename="a") + part("visibility", b"public") + END, {}, 422),
        (part("file", b"x", filename="a") + part("agent_id", b"nobody") + END, {}, 404),
        (part("file", b"x", filename="a") + part("path", b"p" * 20_000) + END, {}, 422),
        (part("file", b"x", filename="a") + part("callback_url", b"http://10.0.0.1/") + END, {}, 422),
        (part("path", b"a") + END, {}, 422),
        (part("file", b"x", filename="a") + END, {"Idempotency-Key": "x" * 300}, 422),
    ],
)
def test_what_is_wrong_is_refused_and_nothing_is_kept(member, services, folder, body, headers, status):
    refused = send(member, body, headers)
    assert refused.status_code == status, refused.text
    assert refused.content_type == "application/problem+json"
    assert kept(folder) == []
    for collection in ("drive_files", "drive_uploads"):
        assert services.db[collection].count_documents({}) == 0
    assert services.db.jobs.count_documents({"kind": "drive_upload"}) == 0
    assert member.get("/drive/usage").json["bytes"] == 0


@pytest.mark.parametrize("length", [0, 1, 60, 1000])
def test_a_body_that_is_not_as_long_as_it_says_is_refused(member, folder, length):
    refused = saying(member, io.BytesIO(part("file", b"x" * 50, filename="a") + END), length)
    assert (refused.status_code, refused.json["code"]) == (400, "malformed")
    assert kept(folder) == []


def test_an_idempotency_key_makes_a_repetition_harmless(member, services, folder):
    headers = {"Idempotency-Key": "k"}
    one = send(member, part("file", b"x", filename="a") + END, headers)
    body = part("file", b"x", filename="a").replace(b"--b", b"--c") + b"--c--\r\n"
    two = send(member, body, {**headers, "Content-Type": "multipart/form-data; boundary=c"})
    assert one.json["id"] == two.json["id"]
    assert len(kept(folder)) == 1
    other = send(member, part("file", b"y", filename="a") + END, headers)
    assert (other.status_code, other.json["code"]) == (422, "idempotency_mismatch")
    assert len(kept(folder)) == 1
    assert member.get("/drive/usage").json["bytes"] == 1


def test_while_an_upload_arrives_another_with_its_key_is_told_so(member, services):
    from core.drive.arrivals import Arrivals

    Arrivals(services.db).begin("u1", "default", "k")
    refused = send(member, part("file", b"x", filename="a") + END, {"Idempotency-Key": "k"})
    assert refused.status_code == 409


def test_another_workspaces_files_are_not_there(member, client_for):
    record, stranger = uploaded(member), client_for("member", workspace="other")
    for answer in (
        stranger.get(f"/drive/files/{record['id']}"),
        stranger.delete(f"/drive/files/{record['id']}"),
        download(stranger, record),
    ):
        assert answer.status_code == 404
    assert stranger.get("/drive/files").json["items"] == []
    assert stranger.get("/drive/usage").json["bytes"] == 0


def test_an_agents_key_has_its_own_files_and_sees_those_for_all(member, agent, client_for):
    other = member.post("/agents", {"name": "other"}).json["id"]
    mine = client_for("agent", agents=[agent])
    own = uploaded(mine)
    assert own["agent_id"] == agent
    theirs = uploaded(member, agent_id=other)
    shared = uploaded(member, agent_id=other, visibility="workspace")
    assert [file["id"] for file in mine.get("/drive/files").json["items"]] == [shared["id"], own["id"]]
    assert download(mine, shared).status_code == 200
    assert download(mine, theirs).status_code == 404
    assert mine.patch(f"/drive/files/{shared['id']}", {"name": "b"}).status_code == 404
    assert mine.delete(f"/drive/files/{shared['id']}").status_code == 404
    assert mine.patch(f"/drive/files/{own['id']}", {"name": "b"}).status_code == 200
    refused = send(mine, part("agent_id", other.encode()) + part("file", b"x", filename="a") + END)
    assert refused.status_code == 404
    assert mine.delete(f"/drive/files/{own['id']}").status_code == 204


def test_a_key_of_several_agents_says_for_which_it_uploads(member, agent, client_for):
    other = member.post("/agents", {"name": "other"}).json["id"]
    both = client_for("member", agents=[agent, other])
    assert send(both, part("file", b"x", filename="a") + END).status_code == 422
    assert uploaded(both, agent_id=other)["agent_id"] == other


def test_a_viewer_reads_and_writes_nothing(member, client_for):
    record, viewer = uploaded(member), client_for("viewer")
    assert download(viewer, record).status_code == 200
    assert send(viewer, part("file", b"x", filename="a") + END).status_code == 403
    assert viewer.delete(f"/drive/files/{record['id']}").status_code == 403


def test_a_file_can_be_named_in_a_chat(member, agent, services):
    record = uploaded(member)
    part = {"type": "file", "file_id": record["id"]}
    made = member.post(f"/agents/{agent}/chat", {"messages": [{"role": "user", "content": [part]}]})
    assert made.status_code == 202, made.text
    kept = services.db.jobs.find_one({"_id": made.json["id"]})["request"]["messages"][0]["content"][0]
    assert kept == {**part, "bytes": 5}
    member.delete(f"/drive/files/{record['id']}")
    refused = member.post(f"/agents/{agent}/chat", {"messages": [{"role": "user", "content": [part]}]})
    assert refused.status_code == 422
    assert refused.json["errors"][0]["pointer"] == "/messages/0/content/0"


def test_an_upload_that_says_it_is_too_long_is_refused_before_it_is_read(member, folder):
    refused = saying(member, io.BytesIO(b""), LARGEST * 100 + 8 * 1024 * 1024 + 1)
    assert (refused.status_code, refused.json["code"]) == (413, "too_large")


def test_an_upload_that_says_it_has_no_room_is_refused_before_it_is_read(member, folder):
    refused = saying(member, io.BytesIO(b""), 1_000_000 + 8 * 1024 * 1024 + 1)
    assert (refused.status_code, refused.json["code"]) == (413, "quota_exceeded")
