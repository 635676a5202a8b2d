"""The instance directory: what an agent's process has on disk, and what of it goes when.

`DATA_DIR/runtime/<host>/<agent>/` holds what is the worker's: `pid`, `token`, `console.log`, `offered.json`.
Its `box` is the process's own: `openclaw.json`, `workspace`, `state`, `home`, `tmp`. A wrapper shows the
process nothing but the box, so whatever lies in there may be a trap: no link in it is followed. Config and
token live as long as the process; the rest stays until it is purged.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.drive import folders

PRIVATE = 0o600
OWN_FOLDERS = ("workspace", "state", "home", "tmp")
PROMPT = "AGENTS.md"
CONFIG = "openclaw.json"


def of_all_hosts(data_dir: Path) -> Path:
    """Where all hosts that share a data directory keep their agents."""
    return data_dir.resolve() / "runtime"


@dataclass(frozen=True)
class Folder:
    """The directory of one agent on this host."""

    path: Path

    @property
    def box(self) -> Path:
        return self.path / "box"

    @property
    def config(self) -> Path:
        return self.box / CONFIG

    @property
    def workspace(self) -> Path:
        return self.box / "workspace"

    @property
    def pid_file(self) -> Path:
        return self.path / "pid"

    @property
    def token_file(self) -> Path:
        return self.path / "token"

    @property
    def console(self) -> Path:
        """What the process prints. It may carry what was said: private."""
        return self.path / "console.log"

    def make(self) -> None:
        """The directories, for nobody else to look into; what imports that came to nothing left goes."""
        for left in self.path.glob("import.*"):
            shutil.rmtree(left, ignore_errors=True)
        self.box.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in OWN_FOLDERS:
            (self.box / name).mkdir(mode=0o700, exist_ok=True)
        self.path.chmod(0o700)

    def write(self, config: Mapping[str, Any], prompt: str | None, token: str) -> None:
        """What a process is started with. Without a prompt there is no file for it."""
        write_private(self.path, self.token_file.name, token)
        write_private(self.box, CONFIG, json.dumps(config, indent=1))
        if prompt:
            write_private(self.workspace, PROMPT, prompt)
        else:
            with contextlib.suppress(FileNotFoundError):
                folders.unlink(self.box, (OWN_FOLDERS[0], PROMPT), keep=2)

    def token(self) -> str:
        """The token of the process that runs; empty: none does."""
        with contextlib.suppress(OSError):
            return self.token_file.read_text()
        return ""

    def forget(self) -> None:
        """The process has ended: no secret stays on disk. Its state, workspace and logs do."""
        for file in (self.config, self.token_file, self.pid_file):
            file.unlink(missing_ok=True)

    def brought(self, job_id: str) -> Path:
        """Where an import unpacks what is to become the box."""
        return self.path / f"import.{job_id}"

    def adopt(self, job_id: str | None) -> None:
        """What that import brought becomes the box, however far an earlier call came."""
        old = self.path / "box.old"
        if job_id is not None and self.brought(job_id).is_dir():
            if self.box.exists():
                shutil.rmtree(old, ignore_errors=True)
                self.box.rename(old)
            self.brought(job_id).rename(self.box)
        shutil.rmtree(old, ignore_errors=True)

    def purge(self) -> None:
        """All of it goes."""
        shutil.rmtree(self.path, ignore_errors=True)


def all_in(root: Path) -> Iterator[tuple[str, Folder]]:
    """The agents that have a directory here, by id."""
    with contextlib.suppress(OSError):
        for entry in os.scandir(root):
            if entry.is_dir(follow_symlinks=False):
                yield entry.name, Folder(Path(entry.path))


def write_private(folder: Path, name: str, text: str) -> None:
    """In one step, readable by nobody else. Raises `OSError` where `folder` has become a link."""
    inside = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    new = f".{name}.new"
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(new, dir_fd=inside)
        handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE, dir_fd=inside)
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as out:
            out.write(text)
        os.rename(new, name, src_dir_fd=inside, dst_dir_fd=inside)
    finally:
        os.close(inside)
