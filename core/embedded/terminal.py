"""The logs of all processes on one terminal, each line with the name of its process."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TextIO

EVERY_S = 0.2
LEFT_OUT = ("Memory overcommit must be enabled",)
"""Advice for large servers, which a first screen need not begin with. The files have it."""


class Tail:
    """Follows `*.log` files from where they end now, through rotation, until stopped."""

    def __init__(self, folder: Path, names: list[str], out: TextIO) -> None:
        self.paths = {name: folder / f"{name}.log" for name in names}
        self.out = out
        self.width = max(map(len, names))
        self._positions = {name: _size(path) for name, path in self.paths.items()}
        self._partial = dict.fromkeys(names, "")
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Print what is there, and stop."""
        self._stopped.set()
        self._thread.join(timeout=5)
        self._print_new()

    def _run(self) -> None:
        while not self._stopped.wait(EVERY_S):
            self._print_new()

    def _print_new(self) -> None:
        for name, path in self.paths.items():
            size = _size(path)
            if size < self._positions[name]:  # rotated
                self._positions[name] = 0
            if size == self._positions[name]:
                continue
            with path.open("rb") as file:
                file.seek(self._positions[name])
                data = file.read(1 << 20)
            self._positions[name] += len(data)
            *lines, self._partial[name] = (self._partial[name] + data.decode(errors="replace")).split("\n")
            for line in lines:
                if not any(words in line for words in LEFT_OUT):
                    print(f"{name:<{self.width}} | {line}", file=self.out)
        self.out.flush()


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
