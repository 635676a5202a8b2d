"""RQ: `rq worker`, and `python -m bench.peers.simple_rq idle 100`."""

from __future__ import annotations

import sys

from rq import Queue

from bench.peers import asked

if __name__ == "__main__":
    queue = Queue(connection=asked.client)
    asked.MEASURES[sys.argv[1]](lambda sent: queue.enqueue(asked.begun, sent), int(sys.argv[2]))
