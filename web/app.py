"""The app: resources, checks before every request, headers after it."""

from __future__ import annotations

from flask_openapi import Info, OpenAPI

import core
from core.jobs.watch import Watcher
from core.services import Services
from web import auth, docs, problems, tracing
from web.api import agents, chat, credentials, health, jobs, keys, workspaces
from web.context import SERVICES, WATCHER
from web.requests import Request
from web.resource import Problem

RESOURCES = (
    agents.api,
    chat.api,
    jobs.api,
    credentials.api,
    keys.api,
    workspaces.api,
    health.api,
)

SCHEMES = {
    "key": {"type": "http", "scheme": "bearer", "description": "Authorization: Bearer <API key>"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}


class App(OpenAPI):
    request_class = Request


def create_app(services: Services, watcher: Watcher) -> App:
    """The WSGI application, over clients that the caller made and will close."""
    app = App(
        "vutler",
        info=Info(title="Vutler", version=core.VERSION, description=docs.ABOUT),
        security_schemes=SCHEMES,
        validation_error_model=Problem,
        validation_error_callback=problems.reject,
        doc_ui=False,
        static_folder=None,
    )
    app.openapi_version = "3.1.1"
    app.extensions |= {SERVICES: services, WATCHER: watcher}
    app.config["MAX_CONTENT_LENGTH"] = services.settings.max_body_bytes
    app.url_map.strict_slashes = False
    tracing.register(app)
    auth.register(app)
    problems.register(app)
    for resource in RESOURCES:
        app.register_api(resource)
    docs.register(app)
    return app
