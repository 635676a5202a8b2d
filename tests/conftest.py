"""The real servers, once for all tests: Valkey and the MongoDB-compatible one, or those that were given."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import sys
from pathlib import Path

import hypothesis
import pytest

from core.config import Settings
from core.embedded import stores
from core.jobs import signals
from core.jobs.watch import Watcher
from core.services import connect_mongo, connect_redis
from tests import given
from tests.meanwhile import Meanwhile
from tests.seaweed import SeaweedFS
from tests.stack import ROOT, Shared, Stack, free_ports, wait_for_port
from tests.stands_in import executable
from tests.used_again import Changed, Databases
from tests.waiting import subscribed

PATIENT_S = 180
"""How long the tests' own clients wait for a store: a busy machine fails nothing."""


collect_ignore = ["py"]
"""Clients' scripts and packages, which are not ours to test."""
SLOW = (
    "core/drive/test_s3.py",
    "core/llm/test_router_misbehaving.py",
    "core/metering/test_books.py",
    "core/outbound/test_transport_tls.py",
    "core/runtime/",
    "core/scheduling/test_poisoned.py",
    "dashboard/",
    "test_chaos.py",
    "test_clients.py",
    "test_drive.py",
    "test_embedded.py",
    "test_hanging_ticks.py",
    "test_python_clients.py",
    "test_readme.py",
    "test_ledger_chaos.py",
    "test_runtime.py",
    "test_schedulers.py",
    "test_sdks.py",
    "test_streaming.py",
    "test_upgrades.py",
    "web/test_older_database.py",
    "web/test_provider_answers.py",
    "web/test_slow_clients.py",
    "web/test_specification.py",
    "workers/",
)
"""What `make test-fast` leaves out: processes, outages, and what tries very many things."""


hypothesis.settings.register_profile(
    "patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("patient")


def pytest_collection_modifyitems(items):
    """Whole stacks first: they take longest, and mostly wait."""
    for item in items:
        if _place(item).startswith(SLOW):
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: not _of_whole_stacks(item))


def pytest_collection(session):
    """Nothing is given up while tests are looked for: to look for garbage took a fifth of that time."""
    gc.disable()


def pytest_collection_finish():
    """What is there now stays: looking through it for garbage, again and again, took a third of the time."""
    gc.collect()
    gc.freeze()
    gc.enable()
    gc.set_threshold(20_000, 20, 10)


def _of_whole_stacks(item):
    return "/" not in _place(item).removeprefix("dashboard/")


def _place(item):
    return Path(item.path).relative_to(ROOT / "tests").as_posix()


def pytest_configure(config):
    """Databases in memory, where there is a place for it: they wait for the disk at each write."""
    given.hide()
    memory = Path("/dev/shm")
    if memory.is_dir() and shutil.disk_usage(memory).free > 2**31:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(memory))


def patient(settings, **more):
    """A client of the store that waits as long as it takes."""
    waits = dict.fromkeys(("connectTimeoutMS", "socketTimeoutMS"), PATIENT_S * 1000)
    return connect_mongo(settings, patience_s=PATIENT_S, **waits, **more)


def started(command: list[str], port: int, folder: Path):
    """The process of a server that answers on `port`; it is ended with the tests."""
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    wait_for_port(port, what=command[0], alive=lambda: process.poll() is None)
    return process


def ended(process: subprocess.Popen) -> None:
    """At once: a good end takes the MongoDB-compatible server 2 s."""
    process.kill()
    process.wait()


@pytest.fixture(scope="session")
def mongodb_uri(tmp_path_factory):
    """Of the MongoDB-compatible server."""
    if given.mongodb():
        yield given.mongodb()
        return
    folder, port = tmp_path_factory.mktemp("mongodb"), free_ports(1)
    process = started(stores.mongodb(port, folder), port, folder)
    yield stores.mongodb_uri(port)
    ended(process)


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory):
    if address := given.take_redis():
        yield address
        return
    folder, port = tmp_path_factory.mktemp("valkey"), free_ports(1)
    process = started(stores.valkey(port, folder), port, folder)
    yield f"redis://127.0.0.1:{port}/0"
    ended(process)


@pytest.fixture(scope="session")
def settings(mongodb_uri, redis_url, tmp_path_factory):
    return Settings(
        mongodb_uri=mongodb_uri,
        redis_url=redis_url,
        store_answers_within_s=PATIENT_S,
        data_dir=tmp_path_factory.mktemp("data"),
    )


@pytest.fixture(scope="session")
def changed():
    return Changed()


@pytest.fixture(scope="session")
def mongo(settings, changed):
    client = patient(settings, event_listeners=[changed])
    yield client
    client.close()


@pytest.fixture(scope="session")
def databases(mongo, changed):
    databases = Databases(mongo, changed)
    yield databases
    databases.close()


@pytest.fixture
def db(databases):
    """An empty database with all indexes, of this test alone."""
    database = databases.take()
    yield database
    databases.give_back(database)


@pytest.fixture
def meanwhile(db, settings):
    """The same database through a client of its own, into whose way somebody else gets."""
    somebody = Meanwhile()
    with patient(settings, event_listeners=[somebody]) as client:
        somebody.db = client[db.name]
        yield somebody
    somebody.check()


@pytest.fixture
def redis_client(settings):
    """An empty database of Redis."""
    client = connect_redis(settings, timeout_s=PATIENT_S)
    client.flushdb()
    yield client
    client.close()


@pytest.fixture
def watcher(db, settings, redis_client):
    """It listens when the test begins."""
    listening = connect_redis(settings)
    watcher = Watcher(db, redis_client, listening)
    watcher.start()
    subscribed(redis_client, signals.CHANGED)
    yield watcher
    watcher.close()
    listening.close()


@pytest.fixture(scope="session")
def obedient(tmp_path_factory):
    """The address of a provider that does as it is told (`tests/providers/obedient.py`)."""
    folder, port = tmp_path_factory.mktemp("obedient"), free_ports(1)
    process = started([sys.executable, str(ROOT / "tests/providers/obedient.py"), str(port)], port, folder)
    yield f"http://127.0.0.1:{port}"
    ended(process)


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    """Holds the stack of all tests that leave it alive."""
    folder = tmp_path_factory.mktemp("stack")
    shared = Shared(
        lambda: Stack(
            folder / "data",
            OPENCLAW_PATH=str(executable(folder)),
            RUNTIME_POLL_SECONDS="2",
            CUSTOM_ENDPOINT_ALLOW="127.0.0.1",
            LEASE_S="6",
            BEAT_S="1",
        )
    )
    yield shared
    shared.end()


@pytest.fixture(scope="module")
def stack(shared):
    """The whole of Vutler as processes, with leases short enough to kill workers."""
    return shared.running()


@pytest.fixture(scope="module", autouse=True)
def no_idle_stack(request, shared):
    """A stack that idles takes a tenth of a core: it ends with the last test of whole stacks."""
    if not _of_whole_stacks(request):
        shared.end()


@pytest.fixture(scope="session")
def seaweed(tmp_path_factory):
    """A real S3 server."""
    server = SeaweedFS(tmp_path_factory.mktemp("seaweed"))
    server.start()
    yield server
    server.end()
