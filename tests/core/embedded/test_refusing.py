"""An embedded server that refuses everything is ended, to be started again; one that is away is not."""

import os
import socket
import subprocess
import sys

import pytest
from pymongo import MongoClient
from pymongo.errors import AutoReconnect, OperationFailure, PyMongoError

from core.embedded import refusing
from core.embedded.refusing import LOOKED_S, REFUSALS, Refusing, asking, ending
from tests import waiting

SLEEPS = "import time; time.sleep(600)"
PANIC, AWAY = OperationFailure("WT_PANIC", 8), AutoReconnect("away")


@pytest.mark.parametrize(
    ("said", "ended"),
    [
        ([PANIC] * (REFUSALS - 1), 0),
        ([PANIC] * REFUSALS, 1),
        ([PANIC] * (2 * REFUSALS - 1), 1),
        ([PANIC] * (2 * REFUSALS), 2),
        ([PANIC, None] * REFUSALS, 0),
        ([PANIC, AWAY] * REFUSALS, 1),
        ([AWAY] * (2 * REFUSALS), 0),
    ],
)
def test_it_is_ended_when_it_refuses_time_after_time(said, ended):
    clock, ends, answers = [0.0], [], iter(said)

    def look():
        if (answer := next(answers)) is not None:
            raise answer

    watch = Refusing(look, lambda: ends.append(1), now=lambda: clock[0])
    watch.look()  # it has just begun
    for _ in said:
        clock[0] += LOOKED_S
        watch.look()
        watch.look()  # too soon
    assert len(ends) == ended
    assert next(answers, "none is left") == "none is left"


def test_a_server_that_is_well_is_asked_without_an_error(db):
    asking(db)()


def test_the_program_is_ended_and_no_other_child(tmp_path):
    script = tmp_path / "a-server"
    script.write_text(SLEEPS)
    children = [subprocess.Popen([sys.executable, *more]) for more in ([str(script)], ["-c", SLEEPS])]
    try:
        ending(os.getpid(), "a-server")()
        assert children[0].wait(60) == -9
        assert children[1].poll() is None
    finally:
        for child in children:
            child.kill()
            child.wait()


def test_a_server_that_hangs_holds_up_nobody(monkeypatch):
    monkeypatch.setattr(refusing, "ANSWERS_WITHIN_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        uri = f"mongodb://127.0.0.1:{hanging.getsockname()[1]}/?directConnection=true"
        with MongoClient(uri) as client, pytest.raises(PyMongoError):
            waiting.ending(asking(client.vutler), seconds=10)
