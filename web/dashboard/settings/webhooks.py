"""Webhooks: the last deliveries and their tries, sending one again, and the secret that signs them."""

from __future__ import annotations

from flask import Blueprint, Response, request

from core import deliveries, signing
from core.clock import utcnow
from core.store import pages
from web.access import access
from web.context import db, services, workspace_id
from web.dashboard.frame import answers
from web.dashboard.settings import forms
from web.dashboard.settings.of_keys import GRACES
from web.resource import Rotation

views = Blueprint("webhooks", __name__)


@views.get("/settings/webhooks")
def listed() -> Response:
    """What was to be told to whom, newest first."""
    cursor = request.args.get("cursor")
    found, after = deliveries.page(db(), workspace_id(), limit=pages.DEFAULT_LIMIT, cursor=cursor)
    return answers.page(
        "settings/webhooks.html",
        deliveries=[(one, deliveries.public(one)) for one in found],
        after=after,
        turned=cursor,
        graces=GRACES,
    )


@views.post("/settings/webhooks/<delivery_id>/redeliver")
def redeliver(delivery_id: str) -> Response:
    """Send it once more."""
    deliveries.redeliver(db(), workspace_id(), delivery_id)
    return answers.go("/settings/webhooks", "It is sent again within a second or two.")


@views.get("/settings/webhooks/secret")
@access(admin=True)
def secret() -> Response:
    """The secret with which a receiver verifies what it is told."""
    text = signing.secret(db(), services().sealer, workspace_id())
    return answers.page("settings/secret.html", text=text)


@views.post("/settings/webhooks/rotate")
@access(admin=True)
def rotate() -> Response:
    """Make another secret; for the time of grace both sign."""
    body = forms.read(Rotation, forms.given(request.form, Rotation))
    signing.rotate(db(), services().sealer, workspace_id(), grace=body.grace, now=utcnow())
    return answers.go("/settings/webhooks/secret", "This is the new secret.")
