"""`python -m core.embedded`: checks, starts everything under supervisor, says how to reach it."""

from __future__ import annotations

import http.client
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, TextIO

from pymongo.database import Database
from pymongo.errors import PyMongoError

from core import health
from core.config import Settings
from core.embedded import checks, one_core, parent, passwords, refusing, stores, welcome
from core.embedded.stores import StartFailed
from core.embedded.supervise import ROOT, Program, configuration, from_procfile
from core.embedded.terminal import Tail
from core.private_files import NotPrivate
from core.runtime import ending
from core.services import connect_mongo, connect_redis
from core.store import migrations
from core.store.migrations import NewerStore

ORPHANS_END_WITHIN_S = 10.0
"""Processes that outlive a killed supervisor cannot finish their work: their stores were told to end, too."""
KNOCK_S = 0.1
LOCAL_MODELS = "127.0.0.1:11434,127.0.0.1:1234,localhost:11434,localhost:1234"


def main(procfile: str | None = None) -> int:
    """The exit code: 0 ended as asked, 1 not started or not kept up, with one line that says why.

    `procfile`: what is started beside the embedded stores; None: all that there is.
    """
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: stopping.set())
    os.umask(0o077)  # the stores' files hold prompts, which no other user of this machine may read
    try:
        checks.python(tuple(sys.version_info[:3]))
        settings = checks.settings()
        with checks.only_one(settings.data_dir) as lock:
            return _run(settings, lock, stopping, procfile)
    except (StartFailed, NotPrivate, OSError) as error:
        print(f"vutler: {error}", file=sys.stderr)
        return 1


def _run(settings: Settings, lock: TextIO, stopping: threading.Event, procfile: str | None) -> int:
    folder = settings.data_dir.resolve()
    checks.ports(settings)
    embedded = _embedded(settings, folder)
    app = from_procfile(procfile or (ROOT / "Procfile").read_text(), stop_s=int(settings.worker_grace_s) + 20)
    config = folder / "supervisord.conf"
    environment = _environment(settings, folder)
    config.write_text(configuration(embedded, app, folder, environment=environment))
    names = [program.name for program in [*embedded, *app]]
    tail = Tail(folder / "log", names, sys.stdout)
    parent.adopt_orphans()
    supervisor = subprocess.Popen(
        [
            *(sys.executable, "-m", "core.embedded.parent", str(os.getpid()), ",".join(environment)),
            *(sys.executable, "-m", "core.embedded.supervisord", "-c", str(config)),
        ],
        cwd=ROOT,
        env=environment,
        start_new_session=True,
        pass_fds=[
            lock.fileno()
        ],  # the supervisor holds the lock, too, so that the folder is free only when both have ended
    )
    print("Starting: a first start makes the stores, which takes a while.", flush=True)
    tail.start()
    try:
        if _becomes_ready(settings, supervisor, stopping):
            print(welcome.text(settings, _sign_in_code(settings)), flush=True)
        _keep_up(settings, supervisor, stopping)
        print(f"\nStopping: running jobs have {settings.worker_grace_s:g} s to end.", flush=True)
        return 0
    finally:
        _end(supervisor, settings.worker_grace_s + 40, folder, settings.port + 2)
        tail.stop()
        print(f"Stopped. What was kept is in {folder}.", flush=True)


def _keep_up(settings: Settings, supervisor: subprocess.Popen[bytes], stopping: threading.Event) -> None:
    """Until we are told to stop. Raises `StartFailed` when the supervisor ends before."""
    with connect_mongo(settings, patience_s=1) as mongo:
        asking = refusing.asking(mongo[settings.mongodb_database])
        watch = refusing.Refusing(asking, refusing.ending(supervisor.pid, stores.MONGODB))
        while not stopping.wait(0.2):
            parent.reap(supervisor.pid)
            if supervisor.poll() is not None:
                raise StartFailed("the supervisor ended; what it started ends with it")
            if settings.mongodb_uri is None:
                watch.look()


def _embedded(settings: Settings, folder: Path) -> list[Program]:
    """The stores that were not given by URL, each with its password."""
    programs = []
    if settings.redis_url is None:
        password = passwords.make(settings, "valkey")
        programs.append(("valkey", stores.valkey(settings.port + 1, folder / "valkey", password)))
    if settings.mongodb_uri is None:
        port, home = settings.port + 2, folder / "mongodb"
        passwords.set_in_mongodb(port, home, passwords.make(settings, "mongodb"))
        programs.append(("mongodb", one_core.keeping(stores.mongodb(port, home, "--auth"))))
    return [Program(name, shlex.join(command), stop_s=20) for name, command in programs]


def _environment(settings: Settings, folder: Path) -> dict[str, str]:
    """What the processes see: our own environment, made explicit where the Procfile needs it."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    host = f"[{settings.host}]" if ":" in settings.host else settings.host  # as gunicorn wants it
    explicit = {"PATH": path, "HOST": host, "PORT": str(settings.port), "DATA_DIR": str(folder)}
    defaults = {"PYTHONUNBUFFERED": "1"}
    if not settings.production:
        defaults["CUSTOM_ENDPOINT_ALLOW"] = LOCAL_MODELS
    return defaults | dict(os.environ) | explicit


def _becomes_ready(
    settings: Settings, supervisor: subprocess.Popen[bytes], stopping: threading.Event
) -> bool:
    """Wait until everything answers; False when we were told to stop meanwhile."""
    deadline = time.monotonic() + settings.start_within_s
    with connect_mongo(settings, patience_s=0.2) as mongo:
        while not stopping.wait(0.1):
            if supervisor.poll() is not None:
                raise StartFailed("the supervisor ended while it started")
            if _ready(settings):
                return True
            _check_version(mongo[settings.mongodb_database])
            if time.monotonic() > deadline:
                raise StartFailed(
                    f"no answer from {_silent(settings)} within {settings.start_within_s:g} s; "
                    f"{settings.data_dir}/log says why"
                )
    return False


def _sign_in_code(settings: Settings) -> str | None:
    with connect_mongo(settings, patience_s=2) as mongo:
        return welcome.sign_in_code(mongo[settings.mongodb_database], settings)


def _check_version(db: Database[dict[str, Any]]) -> None:
    """Raises `StartFailed` for a database of a later version: the processes would end again and again."""
    try:
        migrations.reached(db)
    except NewerStore as error:
        raise StartFailed(str(error)) from None
    except PyMongoError:
        return  # it does not answer yet


def _ready(settings: Settings) -> bool:
    connection = http.client.HTTPConnection(welcome.reachable(settings.host), settings.port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _silent(settings: Settings) -> str:
    """What does not answer: the stores, or else the API that needs them."""
    mongo, client = connect_mongo(settings, patience_s=2), connect_redis(settings, timeout_s=2)
    with mongo, client:
        said = health.check(mongo[settings.mongodb_database], client)["checks"]
    return ", ".join(name for name, answer in said.items() if answer != "ok") or "the API"


def _end(supervisor: subprocess.Popen[bytes], seconds: float, folder: Path, port: int) -> None:
    """Ask the supervisor to end everything, in order; then see to it that nothing is left. `port`: MongoDB's.

    Agents' processes outlive their worker: they are ended here, once nobody is there to start them again.
    """
    if supervisor.poll() is None:
        supervisor.terminate()
    else:
        seconds = ORPHANS_END_WITHIN_S
    deadline = time.monotonic() + seconds
    while supervisor.poll() is None and time.monotonic() < deadline:
        stores.knock(port)
        time.sleep(KNOCK_S)
    supervisor.kill()  # Popen sends nothing to what has ended
    supervisor.wait()
    ending.end_all(folder)
    parent.end_orphans(deadline)


if __name__ == "__main__":
    sys.exit(main())
