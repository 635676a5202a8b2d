"""Dramatiq as it comes: its worker is `dramatiq bench.peers.stock_dramatiq`; this sends, `idle 100`."""

from __future__ import annotations

import os
import sys

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from bench.peers import asked

dramatiq.set_broker(RedisBroker(url=os.environ["REDIS_URL"]))
begun = dramatiq.actor(asked.begun)

if __name__ == "__main__":
    from bench.peers.stock_dramatiq import begun as named  # the module of the worker, not `__main__`

    asked.MEASURES[sys.argv[1]](named.send, int(sys.argv[2]))
