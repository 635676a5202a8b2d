"""What is looked at before anything starts: each finding is one line that says what to do."""

from __future__ import annotations

import errno
import fcntl
import secrets
import socket
from pathlib import Path
from typing import TextIO

import redis
from pydantic import ValidationError
from pymongo.errors import PyMongoError

from core.config import Settings, first_error
from core.crypto import Sealer
from core.embedded.stores import StartFailed
from core.encryption_keys import BadEncryptionKey
from core.first_start import BadAdminKey, check_admin_key
from core.llm import managed
from core.llm.managed import BadManagedKeys
from core.llm.tiers import BadTiers
from core.services import connect_mongo, connect_redis

OLDEST_PYTHON, NEWEST_PYTHON = (3, 11), (3, 13)


def python(version: tuple[int, ...]) -> None:
    """The embedded MongoDB has wheels for these alone. Raises `StartFailed` for another Python."""
    if not OLDEST_PYTHON <= version[:2] <= NEWEST_PYTHON:
        found = ".".join(map(str, version[:3]))
        raise StartFailed(f"Python 3.11, 3.12 or 3.13 is needed, this is {found}")


def settings() -> Settings:
    """The settings of the environment, once all of them can be used. Raises `StartFailed`."""
    try:
        given = Settings()
        _folder(given.data_dir)
        Sealer.from_settings(given)
        check_admin_key(given)
        managed.check(given)
    except ValidationError as error:
        raise StartFailed(first_error(error)) from None
    except (BadEncryptionKey, BadAdminKey, BadTiers, BadManagedKeys) as error:
        raise StartFailed(str(error)) from None
    _addresses(given)
    return given


def only_one(folder: Path) -> TextIO:
    """An open file that holds the folder's lock. Raises `StartFailed` while another has it."""
    file = (folder / "lock").open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise StartFailed(f"Vutler runs in {folder} already; set DATA_DIR and PORT for another") from None
    return file


def ports(given: Settings) -> None:
    """Raises `StartFailed` for an address that cannot be listened on."""
    wanted = [
        (given.host, given.port, "the API"),
        *([("127.0.0.1", given.port + 1, "Valkey")] if given.redis_url is None else []),
        *([("127.0.0.1", given.port + 2, "MongoDB")] if given.mongodb_uri is None else []),
        ("127.0.0.1", given.port + 3, "the sandbox"),
    ]
    for host, port, what in wanted:
        try:
            _listen(host, port)
        except socket.gaierror:
            raise StartFailed(f"HOST {host} is not an address of this machine") from None
        except OSError as error:
            raise StartFailed(_why(error, host, port, what)) from None


def _folder(folder: Path) -> None:
    try:
        (folder / "log").mkdir(parents=True, exist_ok=True)
        probe = folder / f".writable.{secrets.token_hex(4)}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise StartFailed(f"DATA_DIR {folder} cannot be written: {error.strerror}") from None


def _addresses(given: Settings) -> None:
    """The errors' texts may quote a password: they are not shown."""
    try:
        if given.mongodb_uri is not None:
            connect_mongo(given, patience_s=1).close()
    except (PyMongoError, ValueError):
        raise StartFailed("MONGODB_URI is not an address: mongodb://user:password@host:27017/") from None
    try:
        if given.redis_url is not None:
            connect_redis(given).close()
    except (redis.RedisError, ValueError):
        raise StartFailed("REDIS_URL is not an address: redis://:password@host:6379/0") from None


def _listen(host: str, port: int) -> None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))


def _why(error: OSError, host: str, port: int, what: str) -> str:
    if isinstance(error, PermissionError):
        return f"port {port} may not be used: {error.strerror}; set PORT to one above 1023"
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {port} is taken, {what} needs it: end what listens there, or set PORT"
            " (PORT to PORT + 3 are used)"
        )
    return f"HOST {host} cannot be used: {error.strerror}"
