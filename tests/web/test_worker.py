"""gunicorn's worker class: what is imported with it, before gevent replaces what blocks."""

from __future__ import annotations

import subprocess
import sys

from tests.stack import ROOT

AS_GUNICORN_DOES = """
import warnings
import web.worker
from gevent import monkey

warnings.simplefilter("error")
monkey.patch_all()
"""


def test_nothing_is_imported_with_it_that_would_hold_on_to_what_blocks():
    done = subprocess.run(
        [sys.executable, "-c", AS_GUNICORN_DOES], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
