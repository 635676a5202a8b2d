"""`python -m core.embedded`: checks, starts everything under supervisor, says how to reach it."""

from __future__ import annotations

import fcntl
import http.client
import os
import secrets
import shlex
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TextIO

from pydantic import ValidationError

from core.config import Settings
from core.crypto import BadEncryptionKey, Sealer
from core.embedded import stores
from core.embedded.stores import StartFailed
from core.embedded.supervise import ROOT, Program, configuration, from_procfile
from core.embedded.terminal import Tail
from core.llm import managed
from core.llm.managed import BadManagedKeys
from core.llm.tiers import BadTiers

READY_WITHIN_S = 90.0
LOCAL_MODELS = "127.0.0.1:11434,127.0.0.1:1234,localhost:11434,localhost:1234"


def main() -> int:
    try:
        settings = _settings()
        with _only_one(settings.data_dir):
            return _run(settings)
    except StartFailed as error:
        print(f"vutler: {error}", file=sys.stderr)
        return 1


def _settings() -> Settings:
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        raise StartFailed(f"Python 3.11, 3.12 or 3.13 is needed, this is {sys.version.split()[0]}")
    try:
        settings = Settings()
        _check_folder(settings.data_dir)
        Sealer.from_settings(settings)
        managed.check(settings)
    except ValidationError as error:
        first = error.errors()[0]
        raise StartFailed(f"{str(first['loc'][0]).upper()}: {first['msg']}") from None
    except (BadEncryptionKey, BadTiers, BadManagedKeys) as error:
        raise StartFailed(str(error)) from None
    return settings


def _check_folder(folder: Path) -> None:
    try:
        (folder / "log").mkdir(parents=True, exist_ok=True)
        probe = folder / f".writable.{secrets.token_hex(4)}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise StartFailed(f"DATA_DIR {folder} cannot be written: {error.strerror}") from None


def _only_one(folder: Path) -> TextIO:
    """An open file that holds the folder's lock."""
    file = (folder / "lock").open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise StartFailed(f"Vutler runs in {folder} already; set DATA_DIR and PORT for another") from None
    return file


def _run(settings: Settings) -> int:
    folder = settings.data_dir.resolve()
    embedded = _embedded(settings, folder)
    app = from_procfile((ROOT / "Procfile").read_text(), stop_s=int(settings.worker_grace_s) + 20)
    _check_ports(settings, embedded)
    config = folder / "supervisord.conf"
    config.write_text(configuration(embedded, app, folder))
    names = [program.name for program in [*embedded, *app]]
    tail = Tail(folder / "log", names, sys.stdout)
    supervisor = subprocess.Popen(
        [
            *(sys.executable, "-m", "core.embedded.parent"),
            *(sys.executable, "-m", "supervisor.supervisord", "-c", str(config)),
        ],
        cwd=ROOT,
        env=_environment(settings, folder),
        start_new_session=True,
    )
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: stopping.set())
    tail.start()
    try:
        if _becomes_ready(settings, supervisor, stopping):
            print(_welcome(settings), flush=True)
        while not stopping.wait(0.2):
            if supervisor.poll() is not None:
                raise StartFailed("the supervisor ended; what it started ends with it")
        return 0
    finally:
        _end(supervisor, seconds=settings.worker_grace_s + 40)
        tail.stop()


def _embedded(settings: Settings, folder: Path) -> list[Program]:
    """The stores that were not given by URL."""
    programs = []
    if settings.redis_url is None:
        programs.append(("valkey", stores.valkey(settings.port + 1, folder / "valkey")))
    if settings.mongodb_uri is None:
        programs.append(("mongodb", stores.mongodb(settings.port + 2, folder / "mongodb")))
    return [Program(name, shlex.join(command), stop_s=20) for name, command in programs]


def _check_ports(settings: Settings, embedded: list[Program]) -> None:
    names = {program.name for program in embedded}
    wanted = [(settings.port, "the API", settings.host)]
    wanted += [(settings.port + 1, "Valkey", "127.0.0.1")] if "valkey" in names else []
    wanted += [(settings.port + 2, "MongoDB", "127.0.0.1")] if "mongodb" in names else []
    wanted += [(settings.port + 3, "the sandbox", "127.0.0.1")]
    for port, what, host in wanted:
        if not stores.port_is_free(port, host):
            raise StartFailed(
                f"port {port} is taken, {what} needs it: end what listens there, or set PORT"
                " (PORT to PORT + 3 are used)"
            )


def _environment(settings: Settings, folder: Path) -> dict[str, str]:
    """What the processes see: our own environment, made explicit where the Procfile needs it."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    explicit = {"PATH": path, "HOST": settings.host, "PORT": str(settings.port), "DATA_DIR": str(folder)}
    defaults = {"CUSTOM_ENDPOINT_ALLOW": LOCAL_MODELS, "PYTHONUNBUFFERED": "1"}
    return defaults | dict(os.environ) | explicit


def _becomes_ready(
    settings: Settings, supervisor: subprocess.Popen[bytes], stopping: threading.Event
) -> bool:
    """Wait until everything answers; False when we were told to stop meanwhile."""
    deadline = time.monotonic() + READY_WITHIN_S
    while not stopping.wait(0.1):
        if supervisor.poll() is not None:
            raise StartFailed("the supervisor ended while it started")
        if _ready(settings):
            return True
        if time.monotonic() > deadline:
            raise StartFailed(f"not ready within {READY_WITHIN_S:g} s; {settings.data_dir}/log says why")
    return False


def _ready(settings: Settings) -> bool:
    connection = http.client.HTTPConnection(_reachable(settings.host), settings.port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _reachable(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)


def _welcome(settings: Settings) -> str:
    """The address, the admin key's place, and a line to paste."""
    host = _reachable(settings.host)
    address = f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"
    file = settings.data_dir / "admin.key"
    key, where = f"$(cat {shlex.quote(str(file))})", str(file)
    if settings.admin_api_key is not None:
        key, where = "$ADMIN_API_KEY", "the ADMIN_API_KEY that you set"
    lines = [
        "",
        f"Vutler is ready:  {address}   (docs: {address}/docs)",
        f"The admin key:    {where}",
    ]
    if "CUSTOM_ENDPOINT_ALLOW" not in os.environ:
        lines.append("Local models:     custom endpoints may use ports 11434 (Ollama), 1234 (LM Studio)")
    lines += [
        "Try it (the sandbox answers, no provider key is needed):",
        "",
        f'curl -s {address}/api/v1/agents/demo/chat -H "Authorization: Bearer {key}"'
        " -H 'Content-Type: application/json' -H 'Prefer: wait=30' -d '{\"message\": \"Hello\"}'",
        "",
    ]
    return "\n".join(lines)


def _end(supervisor: subprocess.Popen[bytes], seconds: float) -> None:
    """Ask the supervisor to end everything, in order; kill it when it takes too long."""
    if supervisor.poll() is None:
        supervisor.terminate()
    try:
        supervisor.wait(seconds)
    except subprocess.TimeoutExpired:
        supervisor.kill()
        supervisor.wait()


if __name__ == "__main__":
    sys.exit(main())
