"""The web process: `gunicorn --worker-class web.worker.Worker "web.main:build()"`."""

from __future__ import annotations

import atexit
import logging
import sys
from functools import partial
from typing import cast

import structlog
from gevent.threadpool import ThreadPool
from gunicorn.arbiter import Arbiter

from core import first_start as first
from core import key_proof, memory, open_files
from core import services as core_services
from core.config import Settings
from core.jobs.watch import Watcher
from core.log import configure as configure_logs
from core.services import Run, Services, connect_redis
from core.store import migrations
from core.store.migrations import NewerStore
from core.store.repeat import once_it_answers
from web.app import App, create_app
from web.beside import giving_way, in_a_greenlet
from web.deadline import BodyDeadline
from workers.broker import make_broker, sender

DISK_THREADS = 8
"""A disk is waited for in threads of its own: in the event loop everybody would wait, and in gevent's pool
the names that are being resolved."""

log = structlog.get_logger(__name__)


def build() -> App:
    """The WSGI application with clients of its own; call it after the fork."""
    memory.frugal()
    open_files.as_many_as_needed()
    settings = Settings()
    configure_logs(settings, process="web")
    _take_over_gunicorn_logs()
    broker = make_broker(connect_redis(settings, timeout_s=0.5))
    services = core_services.build(
        settings,
        send=sender(broker),
        patience_s=0.5,
        redis_client=connect_redis(settings, timeout_s=0.5),
    )
    disk = ThreadPool(DISK_THREADS)
    services.run = cast(Run, lambda work: disk.apply(giving_way, (work,)))
    services.beside = in_a_greenlet
    for weak in first.weak_secrets(settings):
        log.warning("settings.weak", said=weak)
    _prepare_store(services)
    _prove_key(services)
    watcher = Watcher(services.db, services.redis, connect_redis(settings))
    watcher.start()
    services.cleanups.append(watcher.close)
    app = create_app(services, watcher)
    app.wsgi_app = BodyDeadline(app.wsgi_app, settings.body_timeout_s)  # type: ignore[method-assign]
    atexit.register(services.close)
    memory.settled()
    log.info("web.ready")
    return app


def _prepare_store(services: Services) -> None:
    """Upgrades, indexes, the admin key, the default workspace; waits for a store that is still starting."""
    try:
        migrations.prepare(services.db)
    except NewerStore as error:
        print(f"vutler: {error}", file=sys.stderr)
        sys.exit(Arbiter.APP_LOAD_ERROR)  # gunicorn then ends, and starts no other worker
    once_it_answers(partial(first.ensure, services.db, services.settings))


def _prove_key(services: Services) -> None:
    """Another encryption key than before opens nothing: that is said, and in production not started with."""
    try:
        once_it_answers(partial(key_proof.check, services.db, services.sealer))
    except key_proof.AnotherKey as error:
        log.error("settings.another_key", said=str(error))
        if services.settings.production:
            print(f"vutler: {error}", file=sys.stderr)
            sys.exit(Arbiter.APP_LOAD_ERROR)


def _take_over_gunicorn_logs() -> None:
    for name in ("gunicorn.error", "gunicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [], True
