"""Ending all agents of a data directory: for whoever started the whole of Vutler, and ends it."""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path
from signal import SIGKILL

from core.private_files import NotPrivate
from core.runtime import folder as folders
from core.runtime import marks, processes
from core.runtime.body import KILLED_WITHIN_S, Body
from core.runtime.folder import Folder, of_all_hosts
from core.runtime.marks import Marks

GRACE_S = 10.0
LOOK_S = 0.1


def end_all(data_dir: Path, *, grace_s: float = GRACE_S) -> int:
    """Ask all of them to end, kill what is left after the grace; how many agents there were."""
    hosts = _hosts(of_all_hosts(data_dir))
    told = [_tell(*one, host) for host in hosts for one in folders.all_in(host.root)]
    deadline = time.monotonic() + grace_s
    while left := {one for host in hosts for those in host.carried().values() for one in those}:
        if time.monotonic() > deadline:
            processes.send(processes.family(left), SIGKILL)
        if time.monotonic() > deadline + KILLED_WITHIN_S:
            break  # stuck in the kernel: whoever starts next ends them
        time.sleep(LOOK_S)
    for agent in (agent for host in hosts for _, agent in folders.all_in(host.root)):
        agent.forget()
    return sum(told)


def _hosts(root: Path) -> list[Marks]:
    """Those whose agents are ours to end."""
    found = []
    for entry in root.iterdir() if root.exists() else ():
        with contextlib.suppress(OSError, NotPrivate):
            found.append(marks.of_host(entry))
    return found


def _tell(agent_id: str, agent: Folder, host: Marks) -> bool:
    """Was there a process to be told?"""
    main = processes.noted(agent.pid_file)
    if main is None or not processes.alive(main):
        return False
    Body(agent_id, agent, host).terminate(main, _port(agent))
    return True


def _port(agent: Folder) -> int | None:
    try:
        return int(json.loads(agent.config.read_text())["gateway"]["port"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
