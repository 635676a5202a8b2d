"""The entry of a worker process: `python -m workers.main chat`. Patches first where its role wants it."""

from __future__ import annotations

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
    from workers.process import serve  # what it imports must find the world patched

    return serve(role)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
