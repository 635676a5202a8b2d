"""The logs of all processes on one terminal, each line with the name of its process."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TextIO

from core.loop import Loop

EVERY_S = 0.2
LEFT_OUT = ("Memory overcommit must be enabled",)
"""Advice for large servers, which a first screen need not begin with. The files have it."""


class Tail:
    """Follows `*.log` files from where they end now, through rotation, until stopped."""

    def __init__(self, folder: Path, names: list[str], out: TextIO) -> None:
        self.paths = {name: folder / f"{name}.log" for name in names}
        self.out = out
        self.width = max(map(len, names))
        self._positions = {
            name: path.stat().st_size if path.exists() else 0 for name, path in self.paths.items()
        }
        self._partial = dict.fromkeys(names, "")
        self._loop = Loop("terminal", self._print_new, EVERY_S)

    def start(self) -> None:
        self._loop.start()

    def stop(self) -> None:
        """Print what is there, and stop."""
        self._loop.close()
        self._print_new()

    def _print_new(self) -> None:
        for name in self.paths:
            said = self._partial[name] + self._new(name).decode(errors="replace")
            *lines, self._partial[name] = said.split("\n")
            for line in lines:
                if not any(words in line for words in LEFT_OUT):
                    print(f"{name:<{self.width}} | {line}", file=self.out)
        self.out.flush()

    def _new(self, name: str) -> bytes:
        """What was written since the last look; nothing while the file is away, as in a rotation."""
        try:
            with self.paths[name].open("rb") as file:
                if file.seek(0, os.SEEK_END) < self._positions[name]:  # rotated
                    self._positions[name] = 0
                file.seek(self._positions[name])
                data = file.read(1 << 20)
        except FileNotFoundError:
            return b""
        self._positions[name] += len(data)
        return data
