"""The scheduler's ticks: what each did last, when it is next, and running one now. For admins."""

from __future__ import annotations

from flask import Response
from pydantic import BaseModel

from core.scheduling import ticks
from web.access import access
from web.answers import answer, listed
from web.context import db
from web.resource import Id, Nothing, resource
from web.shapes.base import page
from web.shapes.engine import AskedTick, Tick
from web.specification.says import shows

api = resource("scheduler", "What is done every so often")


class TickPath(BaseModel):
    tick: Id


@api.get("/scheduler", responses=shows(page(Tick), "Last run, how long, result, next run of each"))
@access(admin=True)
def list_ticks() -> Response:
    """Every tick. One whose `next_run` lies well in the past is not running."""
    return listed(ticks.listed(db()), None)


@api.post(
    "/scheduler/<tick>/run",
    responses=shows(AskedTick, "It will run within seconds", status=202, headers=("Location",)),
)
@access(admin=True)
def run_tick(path: TickPath, body: Nothing) -> Response:
    """Run a tick now; its regular times stay as they are."""
    ticks.ask(db(), path.tick)
    return answer({"name": path.tick, "asked": True}, 202, {"Location": "/api/v1/scheduler"})
