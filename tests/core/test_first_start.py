"""The first start: secrets that could be guessed are named where production would refuse them."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from core import first_start
from core.accounts import sessions
from core.clock import utcnow
from core.config import Settings
from core.embedded import welcome
from core.first_start import weak_secrets

STRONG = {"admin_api_key": "k" * 16, "llm_encryption_key": "0123456789abcdef" * 4}


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({}, []),
        (STRONG, []),
        ({**STRONG, "admin_api_key": "k" * 15}, ["ADMIN_API_KEY"]),
        ({**STRONG, "llm_encryption_key": "k" * 32}, ["LLM_ENCRYPTION_KEY"]),
        (
            {"admin_api_key": "secret", "llm_encryption_key": "k" * 32},
            ["ADMIN_API_KEY", "LLM_ENCRYPTION_KEY"],
        ),
    ],
)
def test_each_secret_that_could_be_guessed_is_named_and_not_shown(given, named, tmp_path):
    settings = Settings(data_dir=tmp_path, **given)
    found = weak_secrets(settings)
    assert [line.split()[0] for line in found] == named
    told = welcome.text(settings)
    assert [line for line in told.splitlines() if line.startswith("Warning:")] == [
        f"Warning:          {line}" for line in found
    ]
    for secret in given.values():
        assert secret not in told


def test_the_link_that_make_run_prints_signs_in_with_the_admins_key(db, settings):
    own = settings.model_copy(update={"admin_api_key": SecretStr("k" * 16)})
    assert welcome.sign_in_code(db, own) is None
    first_start.ensure_admin(db, own)
    code = welcome.sign_in_code(db, own)
    assert f"/sign-in/{code}" in welcome.text(own, code)
    assert sessions.redeem(db, code, utcnow())["role"] == "admin"
