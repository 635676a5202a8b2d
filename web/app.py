"""The app: resources, checks before every request, headers after it."""

from __future__ import annotations

from typing import Any

from flask_openapi import Info, OpenAPI, SecurityScheme
from werkzeug.middleware.proxy_fix import ProxyFix

import core
from core.audit_log import Trail
from core.drive import storages
from core.drive.arrivals import Arrivals
from core.jobs.seats import Seats
from core.jobs.watch import Watcher
from core.metering.prices import Prices
from core.metering.reserving import Reserving
from core.services import Services
from core.store.together import Together
from web import (
    auditing,
    auth,
    dashboard,
    docs,
    forgetting,
    headers,
    limiting,
    metrics,
    places,
    problems,
    queries,
    tracing,
)
from web.api import (
    agents,
    chat,
    conversations,
    credentials,
    drive,
    engine,
    events,
    health,
    jobs,
    keys,
    moving,
    own_key,
    runtime,
    scheduler,
    usage,
    workspaces,
)
from web.bodies import Bodies
from web.context import ARRIVALS, BODIES, PRICES, RESERVING, SEATS, SERVICES, STORAGE, STREAMS, WATCHER
from web.doors.openai import views as door
from web.requests import Request
from web.shapes.problems import Problem
from web.streams import Streams

RESOURCES = (
    agents.api,
    chat.api,
    runtime.api,
    moving.api,
    conversations.api,
    jobs.api,
    events.api,
    drive.api,
    door.api,
    credentials.api,
    keys.api,
    own_key.api,
    workspaces.api,
    usage.api,
    engine.api,
    scheduler.api,
    health.api,
)

SCHEMES: dict[str, SecurityScheme | dict[str, Any]] = {
    "key": {"type": "http", "scheme": "bearer", "description": "Authorization: Bearer <API key>"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}


class App(OpenAPI):
    request_class = Request


def create_app(services: Services, watcher: Watcher) -> App:
    """The WSGI application, over clients that the caller made and will close."""
    settings = services.settings
    trail = Trail(services.db)
    services.cleanups.append(trail.close)
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
    services.insert_job = Together(services.db.jobs).insert
    arrivals = Arrivals(services.db)
    services.cleanups.append(arrivals.close)
    arrivals.start()
    app.extensions |= {SERVICES: services, WATCHER: watcher, PRICES: Prices()}
    app.extensions |= {
        STORAGE: storages.make(settings, services.run, services.beside),
        ARRIVALS: arrivals,
        STREAMS: Streams(),
    }
    app.extensions[SEATS] = Seats(services.redis)
    app.extensions[RESERVING] = Reserving(services.db)
    app.extensions[BODIES] = Bodies(settings.body_timeout_s)
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops)  # type: ignore[method-assign]
    app.url_map.strict_slashes = False
    tracing.register(app)
    headers.register(app, settings)
    auth.register(app, settings)
    places.register(app)
    queries.register(app)
    limiting.register(app)
    auditing.register(app, trail)
    forgetting.register(app)
    problems.register(app)
    for resource in RESOURCES:
        app.register_api(resource)
    docs.register(app)
    dashboard.register(app)
    metrics.register(app, services.db, services.redis)
    return app
