"""Roles: each is started by the Procfile, and can carry out the kinds that it takes."""

from __future__ import annotations

import re

import pytest

from core.jobs import kinds
from core.services import Services
from tests.factory import Sent
from tests.stack import ROOT
from workers import process
from workers.roles import ROLES


def test_the_procfile_starts_each_role_and_no_other():
    line = r"^(\S+): (?:nice -n \d+ )?python -m workers\.main (\S+)$"
    started = re.findall(line, (ROOT / "Procfile").read_text(), re.MULTILINE)
    assert sorted(started) == sorted((role, role) for role in ROLES)


@pytest.mark.parametrize("role", ROLES.values(), ids=lambda role: role.name)
def test_each_role_can_carry_out_what_it_takes(db, settings, redis_client, role):
    services = Services(settings, db.client, redis_client, None, Sent())
    wanted = {kind.name for kind in kinds.of_role(role.name)}
    assert wanted
    assert set(process.handlers(services, role)) >= wanted
