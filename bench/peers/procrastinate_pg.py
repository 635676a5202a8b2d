"""Procrastinate on PostgreSQL: `python -m bench.peers.procrastinate_pg worker|idle|flood [N]`."""

from __future__ import annotations

import os
import sys

import procrastinate

from bench.peers import asked

address = os.environ["POSTGRES"]
working = sys.argv[1] == "worker"
kind = procrastinate.PsycopgConnector if working else procrastinate.SyncPsycopgConnector
app = procrastinate.App(connector=kind(conninfo=address))
begun = app.task(name="begun")(asked.begun)

if __name__ == "__main__":
    if working:
        made = procrastinate.App(connector=procrastinate.SyncPsycopgConnector(conninfo=address))
        with made.open():
            if not made.check_connection():  # of the rounds, the first makes the tables
                made.schema_manager.apply_schema()
        app.run_worker(concurrency=16)
        sys.exit()
    with app.open():
        asked.MEASURES[sys.argv[1]](lambda sent: begun.defer(sent=sent), int(sys.argv[2]))
