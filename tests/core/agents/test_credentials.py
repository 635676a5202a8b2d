"""Credentials: sealed for their address, replaced as a whole but for the key."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from core.agents import credentials
from core.config import Settings
from core.crypto import Sealer, provider_key_context
from core.errors import Invalid, KeyRequired, NotFound

SEALER = Sealer(os.urandom(32))
SETTINGS = Settings(custom_endpoint_allow="127.0.0.1:9")
KEY = "sk-shared-0123456789"


def put(db, **given):
    return credentials.put(db, "w1", "main", given, sealer=SEALER, settings=SETTINGS)


def opened(credential, base_url="https://api.openai.com/v1"):
    context = provider_key_context(
        workspace_id="w1", holder="credential:main", provider=credential["provider"], base_url=base_url
    )
    return SEALER.open(credential["sealed_key"], context)


def test_a_credential_is_sealed_and_never_shown(db):
    credential, new = put(db, provider="openai", api_key=KEY)
    assert new
    assert opened(credential) == KEY
    assert KEY not in str(list(db.credentials.find()))
    shown = credentials.public(credential)
    assert (shown["name"], shown["hasKey"], shown["key_hint"]) == ("main", True, KEY[-4:])
    assert "sealed" not in str(shown)


def test_without_a_key_the_stored_one_is_kept_for_the_same_address(db):
    put(db, provider="openai", api_key=KEY)
    credential, new = put(db, provider="openai", custom_endpoint="https://api.openai.com/v2")
    assert not new
    assert opened(credential) == KEY


@pytest.mark.parametrize(
    "given",
    [{"provider": "anthropic"}, {"provider": "openai", "custom_endpoint": "http://127.0.0.1:9"}],
)
def test_another_address_needs_the_key_again(db, given):
    before, _ = put(db, provider="openai", api_key=KEY)
    with pytest.raises(KeyRequired):
        put(db, **given)
    assert credentials.get(db, "w1", "main") == before


def test_a_new_credential_needs_a_key(db):
    with pytest.raises(KeyRequired):
        put(db, provider="openai")


@pytest.mark.parametrize(
    "given",
    [
        {"provider": "nobody"},
        {"provider": "sandbox"},
        {"provider": "openai", "custom_endpoint": "http://169.254.169.254/"},
    ],
)
def test_what_cannot_work_is_refused(db, given):
    with pytest.raises(Invalid):
        put(db, api_key=KEY, **given)


def test_several_at_once_leave_one_that_opens(db):
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda n: put(db, provider="openai", api_key=f"{KEY}{n}")[1], range(8)))
    assert made.count(True) == 1
    assert opened(credentials.get(db, "w1", "main")).startswith(KEY)


def test_a_key_that_was_given_for_another_address_meanwhile_is_not_moved(db, meanwhile):
    """Whoever kept the stored key meant the one that they saw, for the address that it was given for."""
    put(db, provider="openai", api_key=KEY)
    meanwhile.before("update", "credentials", lambda: put(db, provider="anthropic", api_key=f"{KEY}-new"))
    with pytest.raises(KeyRequired):
        put(meanwhile.db, provider="openai", custom_endpoint="https://api.openai.com/v2")
    kept = credentials.get(db, "w1", "main")
    assert kept["provider"] == "anthropic"
    assert opened(kept, "https://api.anthropic.com/v1") == f"{KEY}-new"


def test_another_workspaces_credential_is_not_there(db):
    put(db, provider="openai", api_key=KEY)
    with pytest.raises(NotFound):
        credentials.get(db, "w2", "main")
