"""The user of the embedded MongoDB-compatible server: made before anybody gets at it, then the only one."""

import contextlib

import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from core.embedded import passwords, stores
from tests.conftest import PATIENT_S, ended, started
from tests.stack import free_ports

CODE = "a password of the tests"


@contextlib.contextmanager
def served(port, folder, *more, **user):
    """A client of the store in `folder`, while that runs."""
    process = started(stores.mongodb(port, folder, *more), port, folder)
    try:
        with MongoClient(stores.mongodb_uri(port), timeoutMS=PATIENT_S * 1000, **user) as client:
            yield client
    finally:
        ended(process)


def test_a_folder_of_before_the_passwords_is_taken_over(tmp_path):
    """Its documents stay; a user that somebody made meanwhile does not."""
    port = free_ports(1)
    with served(port, tmp_path) as mongo:
        mongo.vutler.workspaces.insert_one({"_id": "older", "name": "Older"})
        mongo.anywhere.command("createUser", "intruder", pwd="known", roles=["root"])
    passwords.set_in_mongodb(port, tmp_path, CODE)
    with served(port, tmp_path, "--auth", username="vutler", password=CODE, authSource="admin") as mongo:
        assert mongo.vutler.workspaces.find_one({"_id": "older"})["name"] == "Older"
        assert [user["user"] for user in mongo.admin["system.users"].find()] == ["vutler"]
        with MongoClient(stores.mongodb_uri(port)) as nobody, pytest.raises(OperationFailure):
            nobody.vutler.workspaces.find_one({})
