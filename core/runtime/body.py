"""The body of an agent on this host: its process, and whatever that has started.

Knows nothing of states. Who belongs to it is told by the process's family, by a mark of ours in the
environment, and by having been seen in the family once.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from core.runtime import processes
from core.runtime.documents import Record
from core.runtime.folder import Folder
from core.runtime.marks import Marks
from core.runtime.processes import Process

KILLED_WITHIN_S, KILL_LOOK_S = 3.0, 0.02
LISTENING = "0A"
"""TCP_LISTEN in /proc/net/tcp: proc(5)."""


@dataclass(frozen=True)
class Usage:
    """`cpu_s`: used so far by those that live."""

    memory_mb: float
    children: int
    cpu_s: float


class Body:
    """`marks`: those of its host."""

    def __init__(self, agent_id: str, folder: Folder, marks: Marks) -> None:
        self.agent_id = agent_id
        self.folder = folder
        self.marks = marks
        self.child: subprocess.Popen[bytes] | None = None
        self.known: set[Process] = set()

    def born(self, child: subprocess.Popen[bytes]) -> Process:
        """This worker has started it, and will hear how it ends. The process, alive or not."""
        self.child, self.known = child, set()
        return processes.process(child.pid) or Process(child.pid, 0)

    def main(self, record: Record) -> Process | None:
        """The living process of a record: the one it names, or one that was started just before a crash."""
        if self.child is not None:
            self.child.poll()  # or it would stay a zombie
        if record["pid"] is not None and record["pid_started"] is not None:
            named = Process(record["pid"], record["pid_started"])
            return named if processes.alive(named) else None
        if record["instance"] is None:
            return None
        marked = self.marks.carried(self.agent_id).get((self.agent_id, record["instance"]), set())
        noted = processes.noted(self.folder.pid_file)
        return noted if noted in marked else None

    def exit_code(self) -> int | None:
        """How it ended; None where this worker is not its parent."""
        return None if self.child is None else self.child.poll()

    def everyone(self, main: Process | None) -> set[Process]:
        """The living processes that belong to it."""
        marked = {one for those in self.marks.carried(self.agent_id).values() for one in those}
        family = processes.family([*marked, *([main] if main else [])])
        still = {one for one in self.known if processes.alive(one)}
        self.known = family | still
        return set(self.known)

    def usage(self, main: Process) -> Usage:
        """What all of it uses together."""
        those = self.everyone(main)
        return Usage(processes.memory_mb(those), len(those - {main}), processes.cpu_s(those))

    def terminate(self, main: Process, port: int | None) -> None:
        """Ask it to end: the process that listens, since a wrapper may stand in front of it."""
        gateway = port and _listener(port, self.everyone(main))
        processes.send([gateway or main], signal.SIGTERM)

    def end(self, main: Process | None) -> None:
        """Kill all that is left of it, and wait until the system has done so."""
        deadline = time.monotonic() + KILLED_WITHIN_S
        while left := self.everyone(main):
            processes.send(left, signal.SIGKILL)
            if time.monotonic() > deadline:
                break  # stuck in the kernel: the next look tries again
            time.sleep(KILL_LOOK_S)
        if self.child is not None:  # or it would stay a zombie
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.child.wait(KILLED_WITHIN_S)


def _listener(port: int, among: set[Process]) -> Process | None:
    """Whose socket listens on a port of loopback."""
    sockets = {f"socket:[{inode}]" for inode in _listening(port)}
    for one in sorted(among):
        with contextlib.suppress(OSError):
            for descriptor in Path(f"/proc/{one.pid}/fd").iterdir():
                with contextlib.suppress(OSError):
                    if str(descriptor.readlink()) in sockets:
                        return one
    return None


def _listening(port: int) -> set[str]:
    """The inodes of the sockets that listen on a port."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                    found.add(fields[9])
    return found
