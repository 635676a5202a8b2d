"""DBOS on PostgreSQL, a workflow without a step: `python -m bench.peers.dbos_pg worker|idle|flood [N]`."""

from __future__ import annotations

import os
import sys
import time

from dbos import DBOS, DBOSClient

from bench.peers import asked

DBOS(config={"name": "bench", "system_database_url": os.environ["POSTGRES"], "log_level": "ERROR"})


@DBOS.workflow(name="begun")
def begun(sent: float) -> None:
    asked.begun(sent)


if __name__ == "__main__":
    if sys.argv[1] == "worker":
        DBOS.launch()
        DBOS.register_queue("bench", concurrency=16)
        while True:
            time.sleep(60)
    client = DBOSClient(system_database_url=os.environ["POSTGRES"])
    told = {"workflow_name": "begun", "queue_name": "bench"}
    asked.MEASURES[sys.argv[1]](lambda sent: client.enqueue(told, sent), int(sys.argv[2]))
