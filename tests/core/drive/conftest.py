"""The storages, each over the real thing: a folder, and a bucket of a real S3 server."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from core.drive.jobs import CARRIED_OUT
from core.drive.local import LocalStorage
from core.drive.s3 import S3Storage
from core.services import Services
from tests.factory import Sent
from tests.seaweed import BUCKET

MIB = 1024 * 1024


@pytest.fixture(scope="session")
def beside():
    """What is handed over is written in threads, while the test goes on."""
    with ThreadPoolExecutor(16) as pool:
        yield lambda work: pool.submit(work).result


@pytest.fixture
def local(tmp_path, beside):
    folder = tmp_path / "drive"
    folder.mkdir()
    return LocalStorage(folder, beside=beside)


@pytest.fixture
def s3(seaweed, beside):
    """An empty bucket; its parts are as small as S3 allows."""
    client = seaweed.client()
    storage = S3Storage(client, BUCKET, beside=beside, part_bytes=5 * MIB)
    yield storage
    for folder in ("files", "staging"):
        for found in list(storage.list(folder)):
            storage.delete(found.key)
    client.close()


@pytest.fixture(params=["local", "s3"])
def storage(request):
    """Each storage in turn."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def services(db, settings, redis_client):
    own = settings.model_copy(update={"mongodb_database": db.name})
    return Services(own, db.client, redis_client, None, Sent())


@pytest.fixture
def handlers(storage):
    """A drive worker's, over this storage."""
    return {kind: partial(_with, storage, carry_out) for kind, carry_out in CARRIED_OUT.items()}


def _with(storage, carry_out, run):
    return carry_out(run, storage)
