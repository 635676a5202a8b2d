"""What a view may ask for: this process's services, and whose request this is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from flask import current_app, g
from pymongo.database import Database

from core.accounts.keys import Caller
from core.drive.arrivals import Arrivals
from core.drive.storage import Storage
from core.jobs.seats import Seats
from core.jobs.watch import Watcher
from core.metering.prices import Prices
from core.metering.reserving import Reserving
from core.services import Services
from core.store.remembered import Remembered

if TYPE_CHECKING:
    from web.limiting import FailedLogins

Document = dict[str, Any]

SERVICES, WATCHER, PRICES = "vutler.services", "vutler.watcher", "vutler.prices"
STORAGE, ARRIVALS = "vutler.storage", "vutler.arrivals"
FAILED_LOGINS, STREAMS = "vutler.failed_logins", "vutler.streams"
SEATS, RESERVING, BODIES = "vutler.seats", "vutler.reserving", "vutler.bodies"
PLACES = "vutler.places"


def services() -> Services:
    return cast(Services, current_app.extensions[SERVICES])


def db() -> Database[Document]:
    return services().db


def watcher() -> Watcher:
    return cast(Watcher, current_app.extensions[WATCHER])


def remembered() -> Remembered:
    """What this process remembers for a moment of what each request reads."""
    return watcher().remembered


def reserving() -> Reserving:
    return cast(Reserving, current_app.extensions[RESERVING])


def prices() -> Prices:
    return cast(Prices, current_app.extensions[PRICES])


def storage() -> Storage:
    return cast(Storage, current_app.extensions[STORAGE])


def arrivals() -> Arrivals:
    return cast(Arrivals, current_app.extensions[ARRIVALS])


def seats() -> Seats:
    return cast(Seats, current_app.extensions[SEATS])


def failed_logins() -> FailedLogins:
    return cast("FailedLogins", current_app.extensions[FAILED_LOGINS])


def caller() -> Caller:
    """Who makes this request."""
    return cast(Caller, g.caller)


def workspace_id() -> str:
    """The workspace that this request is about: the key's own, or the one an admin named."""
    return cast(str, g.workspace_id)


def request_id() -> str:
    return cast(str, g.request_id)
