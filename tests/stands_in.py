"""Making the stand-in an executable, for `OPENCLAW_PATH`."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.stack import ROOT

SOURCE = ROOT / "tests" / "stand_in.py"


def executable(folder: Path) -> Path:
    """A file in `folder` that may be run: the stand-in behind this Python."""
    program = folder / "openclaw"
    program.write_text(f"#!{sys.executable} -IS\n{SOURCE.read_text()}")
    program.chmod(0o755)
    return program
