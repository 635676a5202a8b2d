"""A key with a budget of five cents a month."""

from __future__ import annotations

import pytest

from core.accounts import keys
from core.clock import utcnow
from tests.core.metering.budgeted import of_key


@pytest.fixture
def key(db):
    made, _ = keys.make(
        db,
        role="member",
        workspace_id="w1",
        limits={"budget_usd": 0.05, "budget_period": "month"},
        created_by="t",
    )
    return db["keys"].find_one({"_id": made["_id"]})


@pytest.fixture
def budget(key):
    return of_key(key, utcnow())
