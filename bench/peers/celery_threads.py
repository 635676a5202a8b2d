"""Celery with threads: `celery -A bench.peers.celery_threads worker -P threads`."""

from __future__ import annotations

import os
import sys

from celery import Celery

from bench.peers import asked

app = Celery("bench", broker=os.environ["REDIS_URL"])
app.conf.task_ignore_result = True
begun = app.task(name="begun")(asked.begun)

if __name__ == "__main__":
    asked.MEASURES[sys.argv[1]](begun.delay, int(sys.argv[2]))
