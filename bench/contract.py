"""Does anything that a client may send make a 5xx? `python -m bench.contract [minutes]`.

Starts the whole stack with the embedded stores, and lets schemathesis try the published specification in all
of its phases, with an admin's key and with a member's, five minutes each unless told otherwise. Prints what
it found; ends with 1 if there was a 5xx.

Left out are streams, which do not end by themselves.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from bench.choices import asked_for_help
from tests.stack import ADMIN_KEY, Stack

PHASES = "examples,coverage,fuzzing,stateful"
STREAMS = r"/(events|ws|logs)$"


def main(minutes: float = 5) -> int:
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(Path(folder) / "data")
        stack.start()
        try:
            made = stack.http.post(f"{stack.url}/keys", json={"role": "member"}, timeout=30).json()
            keys = {"admin": ADMIN_KEY, "member": made["key"]}
            return max(tried(stack.port, role, key, minutes) for role, key in keys.items())
        finally:
            stack.stop()


def tried(port: int, role: str, key: str, minutes: float) -> int:
    """The exit code of schemathesis: 0 if there was no 5xx."""
    print(f"with the key of {role}, {minutes} minutes", flush=True)
    return subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"http://127.0.0.1:{port}/openapi.json"),
            *("--phases", PHASES, "--checks", "not_a_server_error", "--max-time", str(int(minutes * 60))),
            *("--header", f"Authorization: Bearer {key}", "--exclude-path-regex", STREAMS),
            *("--request-timeout", "60", "--continue-on-failure", "--no-color"),
        ],
        check=False,
    ).returncode


if __name__ == "__main__":
    if not asked_for_help(__doc__, sys.argv[1:]):
        sys.exit(main(*map(float, sys.argv[1:2])))
