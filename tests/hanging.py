"""A scheduler most of whose ticks hang, to be looked at: `python -m tests.hanging`, settings as any other."""

from __future__ import annotations

import sys
import threading
from datetime import timedelta
from typing import Any

import scheduler
from core import services as core_services
from core.config import Settings
from core.scheduling import runs
from core.scheduling.runs import Tick, slotted
from core.services import Services, connect_redis

HANGING = tuple(f"hangs{n}" for n in range(12))


def main() -> int:
    """All that is done every few seconds is done more often: whoever looks at it need not wait so long."""
    scheduler.EVERY_S, runs.LONG, runs.LOOK_S = 0.5, timedelta(seconds=1), 1.0
    settings = Settings()
    services = core_services.build(
        settings, send=lambda *_: None, patience_s=2, redis_client=connect_redis(settings)
    )
    return scheduler.serve(services, table(services))


def table(services: Services) -> list[Tick]:
    def hang() -> dict[str, Any]:
        threading.Event().wait()
        return {}

    def count(at: Any = None) -> dict[str, int]:
        services.db.effects.insert_one({"at": at})
        return {"counted": 1}

    hanging = [Tick(name, 0.5, hang) for name in HANGING]
    return [*hanging, Tick("counts", 0.5, count), slotted(services.db, "slots", 1, count)]


if __name__ == "__main__":
    sys.exit(main())
