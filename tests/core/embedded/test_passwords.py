"""The server that runs while its user is made: it ends, also when it does not hear at once."""

import signal
import subprocess
import sys

import pytest

from core.embedded import passwords

DEAF = """
import signal, sys
heard = []
def hear(*_):
    heard.append(1)
    if len(heard) == {times}:
        sys.exit(0)
signal.signal(signal.SIGTERM, hear)
print("ready", flush=True)
while True:
    signal.pause()
"""


@pytest.mark.parametrize(("times", "code"), [(1, 0), (2, 0), (100, -signal.SIGKILL)])
def test_a_server_ends_whether_it_hears_at_once_at_the_second_time_or_never(times, code):
    server = subprocess.Popen([sys.executable, "-c", DEAF.format(times=times)], stdout=subprocess.PIPE)
    assert server.stdout.readline() == b"ready\n"
    passwords.end(server, seconds=2 if times == 100 else 20)
    server.stdout.close()
    assert server.returncode == code
