"""The overview: what is going on, and what needs somebody."""

from __future__ import annotations

from flask import Blueprint, Response

from web.dashboard.frame import answers

views = Blueprint("overview", __name__)


@views.get("/")
def overview() -> Response:
    """The first page."""
    return answers.page("overview/page.html")
