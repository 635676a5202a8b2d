"""Sealing: what opens where, with which key; and files that appear whole or not at all."""

from __future__ import annotations

import base64
import os
import secrets
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from core.config import Settings
from core.crypto import (
    BadEncryptionKey,
    CannotOpen,
    Sealer,
    origin,
    parse_key,
    provider_key_context,
    write_private_once,
)

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


def test_the_old_keys_of_the_settings_open(tmp_path):
    old, new = (base64.b64encode(key).decode() for key in (OTHER, KEY))
    sealer = Sealer.from_settings(
        Settings(
            llm_encryption_key=new, llm_encryption_keys_old=f"an earlier text, {old},", data_dir=tmp_path
        )
    )
    assert sealer.open(Sealer(OTHER).seal("sk-1", HERE), HERE) == "sk-1"
    assert sealer.open(Sealer(parse_key("an earlier text")[0]).seal("sk-2", HERE), HERE) == "sk-2"


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


def test_a_text_key_is_padded_with_zeros_and_cut_as_before():
    assert parse_key("short") == (b"short" + b"0" * 27, False)
    assert parse_key("x" * 40) == (b"x" * 32, False)


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_thirty_two_bytes_in_base64_are_taken_as_they_are(encode):
    assert parse_key(encode(KEY).decode()) == (KEY, True)


@pytest.mark.parametrize("key", [None, "a text key that is long enough but is text"])
def test_production_refuses_a_missing_or_padded_key(tmp_path, key):
    with pytest.raises(BadEncryptionKey):
        Sealer.from_settings(Settings(app_env="production", llm_encryption_key=key, data_dir=tmp_path))


def test_development_makes_a_key_once_and_keeps_it_private(tmp_path):
    settings = Settings(data_dir=tmp_path / "new")
    with ThreadPoolExecutor(8) as pool:
        sealers = list(pool.map(lambda _: Sealer.from_settings(settings), range(8)))
    assert len({sealer.key_id for sealer in sealers}) == 1
    path = tmp_path / "new" / "secret.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in path.parent.iterdir()] == ["secret.key"]


def test_a_private_file_is_written_once(tmp_path):
    texts = [secrets.token_hex(8) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda text: write_private_once(tmp_path / "f", text), texts))
    assert made.count(True) == 1
    assert (tmp_path / "f").read_text().strip() == texts[made.index(True)]
