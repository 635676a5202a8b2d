"""The dashboard: pages for people, under `/`. `pages.py` names them, docs/dashboard.md how one is added."""

from __future__ import annotations

from flask import Blueprint, Flask
from jinja2 import StrictUndefined

from web.dashboard.frame import answers, assets, errors, formats, live, sign_in, workspaces
from web.dashboard.pages import PAGES
from web.unrouted import DASHBOARD


def register(app: Flask) -> None:
    """Serve the pages, what they are drawn with, and the stream that tells them of changes."""
    files = assets.load()
    frame = Blueprint(DASHBOARD, __name__, template_folder=".")
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    formats.register(app.jinja_env)
    answers.register(frame, files, PAGES)
    errors.register(frame)
    for views in (assets.views(files), sign_in.views, live.views, workspaces.views):
        frame.register_blueprint(views)
    for page in PAGES:
        frame.register_blueprint(page.views)
    app.register_blueprint(frame)
