"""The MongoDB and the Redis that tests and benches were given: how they are divided.

By `MONGODB_URI` and `REDIS_URL`. Each stack, and each test that stores something, has a database of its own
in MongoDB, dropped when it ends. Of Redis they use, and empty, the databases from the one named up to 15.
"""

from __future__ import annotations

import os
import secrets
from urllib.parse import urlsplit

import redis
from pymongo import MongoClient

NAMES = ("MONGODB_URI", "REDIS_URL")
HIDDEN = "TESTS_"
REDIS_DATABASES = 16
TAKEN: set[str] = set()
"""The addresses of this process's databases in Redis."""


def hide() -> None:
    """From here on only this module sees them: a test's own settings are what the test says."""
    for name in NAMES:
        if name in os.environ:
            os.environ[HIDDEN + name] = os.environ.pop(name)


def mongodb() -> str | None:
    return _given("MONGODB_URI")


def new_database() -> str:
    """A name that nobody else has."""
    return f"vutler_test_{secrets.token_hex(4)}"


def take_redis() -> str | None:
    """The address of an empty database, this process's until `give_back`. None: no Redis was given."""
    if _given("REDIS_URL") is None:
        return None
    address = next(one for one in _redis_of_this_process() if one not in TAKEN)
    TAKEN.add(address)
    with redis.Redis.from_url(address) as client:
        client.flushdb()
    return address


def stores(embedded: tuple[str, ...]) -> dict[str, str]:
    """The environment of a stack, as far as it was given. `embedded`: the names that it does without."""
    found: dict[str, str] = {}
    if mongodb() and "MONGODB_URI" not in embedded:
        found |= {"MONGODB_URI": str(mongodb()), "MONGODB_DATABASE": new_database()}
    if "REDIS_URL" not in embedded and (address := take_redis()):
        found["REDIS_URL"] = address
    return found


def give_back(taken: dict[str, str]) -> None:
    """Of what `stores` took: the database of MongoDB is dropped, the one of Redis is the next one's."""
    if "MONGODB_URI" in taken:
        with MongoClient(taken["MONGODB_URI"]) as client:
            client.drop_database(taken["MONGODB_DATABASE"])
    TAKEN.discard(taken.get("REDIS_URL", ""))


def _given(name: str) -> str | None:
    return os.environ.get(HIDDEN + name) or os.environ.get(name)


def _redis_of_this_process() -> list[str]:
    """Every nth: pytest-xdist says which of n processes this is."""
    address = urlsplit(str(_given("REDIS_URL")))
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    step = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    first = int(address.path.strip("/") or 0) + number
    return [address._replace(path=f"/{n}").geturl() for n in range(first, REDIS_DATABASES, step)]
