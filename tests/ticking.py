"""A scheduler with one tick, to be killed: `python -m tests.ticking MONGODB_URI DATABASE EVERY_S LEASE_S`.

Each slot's effect is an insert under the slot's time, with a pause before and after it to be killed in.
"""

from __future__ import annotations

import sys
import threading
import time
from datetime import datetime, timedelta
from typing import Any

from pymongo import MongoClient
from pymongo.errors import DuplicateKeyError

from core.ids import new_id
from core.scheduling.leader import Leadership
from core.scheduling.slots import Slots

LOOK_S = 0.2


def main(address: str, database: str, every_s: float, lease_s: float) -> None:
    db: Any = MongoClient(address, tz_aware=True, w="majority", journal=True)[database]
    me = new_id()
    leadership = Leadership(db, me, lease_s=lease_s)

    def lead() -> None:
        while True:
            leadership.hold()
            time.sleep(lease_s / 5)

    def effect(slot: datetime) -> dict[str, int]:
        db.begun.insert_one({"slot": slot, "by": me})
        time.sleep(0.1)
        try:
            db.effects.insert_one({"_id": slot, "by": me})
        except DuplicateKeyError:
            return {"there_already": 1}
        time.sleep(0.1)
        return {"put": 1}

    slots = Slots(db, "tick", timedelta(seconds=every_s), effect)
    threading.Thread(target=lead, daemon=True).start()
    while True:
        if leadership.held():
            slots.run()
        time.sleep(LOOK_S)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4]))
