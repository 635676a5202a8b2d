"""The entry of a worker process: `python -m workers.main chat`. For a role in greenlets it patches first."""

from __future__ import annotations

import os
import sys

from workers.roles import ROLES


def main(arguments: list[str]) -> int:
    """Serve a role until told to stop; the exit code."""
    if len(arguments) != 1 or arguments[0] not in ROLES:
        print(f"usage: python -m workers.main {{{'|'.join(ROLES)}}}", file=sys.stderr)
        return 2
    role = ROLES[arguments[0]]
    if role.green:
        from gevent import monkey

        monkey.patch_all()
    from workers.process import serve  # only now: what it imports must already be patched

    return serve(role)


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(code)  # all is closed: taking the modules apart takes half a second
