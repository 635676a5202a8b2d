"""Is this process alive, and does everything answer that it needs?"""

from __future__ import annotations

from functools import partial

from flask import Response

from core import health, key_proof
from core.store import sizes
from web.access import access
from web.answers import answer
from web.context import services
from web.problems import unready
from web.resource import resource
from web.shapes.engine import Alive, Ready
from web.specification.says import shows, tells

api = resource("health", "Alive, ready", prefix="")


@api.get("/healthz", responses=shows(Alive, "Alive"))
@access(public=True)
def healthz() -> Response:
    """This process is alive."""
    return answer({"status": "ok"})


@api.get("/readyz", responses=shows(Ready, "Everything answers"))
@access(public=True)
@tells(fails=(503,))
def readyz() -> Response:
    """Does every dependency answer? 503 says which does not. `warnings`: what will soon be too much."""
    sealing = partial(key_proof.said, services().db, services().sealer)
    report = health.check(services().db, services().redis, sealing)
    if report["status"] != "ready":
        return unready(report)
    near = sizes.warnings(services().db) if services().settings.embedded_store else []
    return answer({**report, "warnings": near})
