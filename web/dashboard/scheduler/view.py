"""The scheduler: what each tick did last, when it is next, and running one now. For admins, as at the API."""

from __future__ import annotations

from flask import Blueprint, Response

from core.scheduling import ticks
from web.access import access
from web.context import db
from web.dashboard.frame import answers

views = Blueprint("scheduler", __name__)


@views.get("/scheduler")
@access(admin=True)
def listed() -> Response:
    """Every tick, and the documents that it has laid aside."""
    rows = [{**tick, "error": ticks.in_words(tick["error"])} for tick in ticks.listed(db())]
    return answers.page("scheduler/page.html", ticks=rows)


@views.post("/scheduler/<tick>/run")
@access(admin=True)
def run(tick: str) -> Response:
    """Run a tick now; its regular times stay as they are."""
    ticks.ask(db(), tick)
    return answers.go("/scheduler", f"{tick} runs within a few seconds.")
