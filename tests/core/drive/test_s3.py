"""What only a bucket can do wrong: it is away, it is not there, it no longer knows us."""

from __future__ import annotations

import base64
import hashlib
import io
import os

import pytest
import requests

from core.config import Settings
from core.drive import s3 as s3_module
from core.drive import storages
from core.drive.s3 import S3Storage
from core.errors import StorageAway
from tests import seaweed as server
from tests.core.drive.conftest import MIB
from tests.core.drive.test_storages import KEY, STAGED, kept, names, read, staged
from tests.seaweed import BUCKET, SECRET, SeaweedFS
from tests.waiting import LONG_S, until


@pytest.fixture(scope="module")
def own_server(tmp_path_factory):
    """A server that may be killed."""
    server = SeaweedFS(tmp_path_factory.mktemp("own"))
    server.start()
    yield server
    server.end()


@pytest.fixture
def configured(own_server, monkeypatch):
    """The storage as the settings make it, with the credentials of the environment."""
    for name, value in own_server.environment.items():
        monkeypatch.setenv(name, value)
    settings = Settings(drive_storage="s3", drive_s3_bucket=BUCKET, drive_s3_endpoint=own_server.url)
    storage = storages.make(settings)
    yield storage
    storage.client.close()


def test_the_settings_make_it(configured):
    kept(configured, b"abc")
    assert read(configured) == b"abc"
    configured.delete(KEY)


def test_botocore_hashes_no_body(configured):
    """A web process would serve nobody else meanwhile."""
    sent = []
    for call in ("PutObject", "UploadPart"):
        configured.client.meta.events.register(
            f"before-send.s3.{call}", lambda request, **_: sent.append(request)
        )
    staged(configured, b"x" * MIB)
    configured.delete(STAGED)
    staged(configured, b"x" * 6 * MIB)
    configured.delete(STAGED)
    assert {request.headers["X-Amz-Content-SHA256"] for request in sent} == {b"UNSIGNED-PAYLOAD"}


def test_a_body_that_was_changed_on_its_way_is_refused(configured):
    """Bodies are not signed themselves, but their checksums are."""
    events = configured.client.meta.events
    for call in ("PutObject", "UploadPart"):
        events.register(f"before-send.s3.{call}", changed)
    for size in (MIB, 6 * MIB):
        staging = configured.stage(STAGED)

        def arrives(staging=staging, size=size):
            staging.write(b"x" * size)
            staging.keep()

        with pytest.raises(StorageAway):
            arrives()
        staging.drop()
    assert names(configured, "staging") == []


def changed(request, **_):
    """What is sent in place of it, as long as it was."""
    request.body = io.BytesIO(b"y" * int(request.headers["Content-Length"]))


def test_a_checksum_that_was_changed_on_its_way_is_refused(configured):
    events = configured.client.meta.events
    other = base64.b64encode(hashlib.sha256(b"y" * MIB).digest())

    def both_changed(request, **_):
        changed(request)
        request.headers["x-amz-checksum-sha256"] = other

    events.register("before-send.s3.PutObject", both_changed)
    staging = configured.stage(STAGED)
    staging.write(b"x" * MIB)
    with pytest.raises(StorageAway):
        staging.keep()
    staging.drop()


def test_a_bucket_is_needed():
    with pytest.raises(ValueError, match="DRIVE_S3_BUCKET"):
        Settings(drive_storage="s3")


def test_a_server_that_goes_away_is_said_and_it_goes_on_when_it_is_back(configured, own_server):
    kept(configured, b"abc")
    staging = configured.stage(STAGED)
    own_server.kill()
    for call in (
        lambda: staging.write(b"x" * 20 * MIB),
        lambda: configured.read(KEY),
        lambda: configured.delete(KEY),
        lambda: configured.move(STAGED, KEY, "a/b"),
        lambda: list(configured.list("files")),
    ):
        with pytest.raises(StorageAway):
            call()
    staging.drop()
    own_server.start()
    assert read(configured) == b"abc"
    staged(configured, b"x" * 20 * MIB)
    configured.delete(STAGED)
    configured.delete(KEY)


def test_credentials_that_end_in_mid_upload_leave_nothing_that_is_taken_for_a_file(configured, own_server):
    staging = configured.stage(STAGED)
    staging.write(b"x" * 10 * MIB)
    own_server.kill()
    own_server.start("another")
    with pytest.raises(StorageAway) as refused:
        staging.write(b"x" * 10 * MIB)
    assert server.KEY not in str(refused.value)
    assert SECRET not in str(refused.value)
    staging.drop()
    own_server.kill()
    own_server.start()
    assert names(configured, "files") == []
    assert names(configured, "staging") == [STAGED]
    configured.delete(STAGED)
    assert names(configured, "staging") == []
    staged(configured, b"x" * 10 * MIB)
    configured.delete(STAGED)


def test_a_bucket_that_is_not_there_is_not_a_file_that_is_not_there(s3):
    elsewhere = S3Storage(s3.client, "no-such-bucket")
    for call in (
        lambda: elsewhere.read(KEY),
        lambda: list(elsewhere.list("files")),
    ):
        with pytest.raises(StorageAway):
            call()


def test_a_large_object_is_moved_in_parts(s3, monkeypatch):
    small = type(s3_module.COPYING)(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB)
    monkeypatch.setattr(s3_module, "COPYING", small)
    data = os.urandom(12 * MIB)
    kept(s3, data)
    assert read(s3) == data
    assert names(s3, "staging") == []


def test_its_media_type_is_the_objects(s3):
    kept(s3, b"abc")
    assert s3.client.head_object(Bucket=BUCKET, Key=KEY)["ContentType"] == "text/plain"


def test_all_parts_but_the_last_are_of_one_size(s3):
    staging = s3.stage(STAGED)
    for _ in range(11):
        staging.write(b"x" * MIB)
    (upload,) = s3.client.list_multipart_uploads(Bucket=BUCKET)["Uploads"]
    of = {"Bucket": BUCKET, "Key": STAGED, "UploadId": upload["UploadId"]}
    until(lambda: len(s3.client.list_parts(**of).get("Parts", [])) == 2, "both have arrived")
    assert [part["Size"] for part in s3.client.list_parts(**of)["Parts"]] == [5 * MIB, 5 * MIB]
    staging.keep()


def test_the_last_part_is_never_empty(s3):
    staging = s3.stage(STAGED)
    staging.write(b"x" * 10 * MIB)
    assert staging.keep().endswith("-2")
    s3.delete(STAGED)


def test_a_link_gives_the_object_under_the_name_that_was_asked_for(s3):
    kept(s3, b"abc")
    said = {"Content-Type": "text/plain", "Content-Disposition": "attachment; filename*=UTF-8''%C3%A9"}
    answer = requests.get(s3.link(KEY, 60, said), timeout=LONG_S)
    assert (answer.status_code, answer.content) == (200, b"abc")
    assert answer.headers["Content-Disposition"] == said["Content-Disposition"]
    assert (
        requests.get(s3.link(KEY, 60, said).replace("Expires=60", "Expires=600"), timeout=LONG_S).status_code
        == 403
    )


def test_what_others_keep_in_the_bucket_is_not_listed(s3):
    s3.client.put_object(Bucket=BUCKET, Key="files/one/their own name", Body=b"abc")
    kept(s3, b"abc")
    assert names(s3, "files") == [KEY]
    s3.client.delete_object(Bucket=BUCKET, Key="files/one/their own name")
