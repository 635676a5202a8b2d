"""Sealing: what opens where, with which key."""

from __future__ import annotations

import base64
import os

import pytest

from core.crypto import CannotOpen, Sealer, origin, provider_key_context

KEY, OTHER = os.urandom(32), os.urandom(32)
HERE = provider_key_context(
    workspace_id="w1", holder="agent:a1", provider="openai", base_url="https://api.openai.com/v1"
)


def test_what_was_sealed_opens_in_the_same_place():
    sealer = Sealer(KEY)
    assert sealer.open(sealer.seal("sk-1", HERE), HERE) == "sk-1"


def test_the_same_text_is_never_sealed_the_same_twice():
    sealer = Sealer(KEY)
    assert sealer.seal("sk-1", HERE) != sealer.seal("sk-1", HERE)


def test_the_sealed_text_names_its_version_and_key_and_not_the_secret():
    sealed = Sealer(KEY).seal("sk-secret", HERE)
    assert sealed.startswith(f"v1.{Sealer(KEY).key_id}.")
    assert "secret" not in sealed
    assert b"secret" not in base64.urlsafe_b64decode(sealed.split(".")[2])


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"workspace": "w2"},
        {"holder": "agent:a2"},
        {"holder": "credential:a1"},
        {"provider": "anthropic"},
        {"origin": "https://api.openai.com:8443"},
        {"origin": "http://api.openai.com:443"},
        {"origin": "https://evil.example:443"},
    ],
)
def test_it_does_not_open_when_moved_to_another_row_or_address(elsewhere):
    sealer = Sealer(KEY)
    with pytest.raises(CannotOpen):
        sealer.open(sealer.seal("sk-1", HERE), {**HERE, **elsewhere})


@pytest.mark.parametrize(
    "change", [lambda t: t[:-8] + "AAAAAAAA", lambda t: t.replace("v1", "v2"), lambda t: "x", lambda t: ""]
)
def test_it_does_not_open_when_changed(change):
    sealer = Sealer(KEY)
    with pytest.raises(CannotOpen):
        sealer.open(change(sealer.seal("sk-1", HERE)), HERE)


def test_an_old_key_opens_and_no_longer_seals():
    sealed = Sealer(OTHER).seal("sk-1", HERE)
    sealer = Sealer(KEY, [OTHER])
    assert sealer.open(sealed, HERE) == "sk-1"
    assert sealer.seal("sk-1", HERE).split(".")[1] == Sealer(KEY).key_id
    with pytest.raises(CannotOpen):
        Sealer(KEY).open(sealed, HERE)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://API.openai.com/v1", "https://api.openai.com:443"),
        ("HTTP://a:80/x?y", "http://a:80"),
        ("https://a:8443", "https://a:8443"),
        ("http://[::1]:11434/v1", "http://::1:11434"),
    ],
)
def test_an_origin_is_scheme_host_and_port(url, expected):
    assert origin(url) == expected
