"""The entry of a worker process: `python -m workers.main chat`. Patches first, imports after."""

from __future__ import annotations

import sys

from gevent import monkey

monkey.patch_all()

from workers.process import serve  # noqa: E402
from workers.roles import ROLES  # noqa: E402


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or arguments[0] not in ROLES:
        print(f"usage: python -m workers.main {{{'|'.join(ROLES)}}}", file=sys.stderr)
        return 2
    return serve(ROLES[arguments[0]])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
