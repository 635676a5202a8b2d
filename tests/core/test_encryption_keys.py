"""Encryption keys: a text is read as what it is, or refused; what a misread one has sealed still opens."""

from __future__ import annotations

import base64
import os
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from core.config import Settings
from core.crypto import Sealer
from core.encryption_keys import BadEncryptionKey, decoded
from core.private_files import made_once

KEY, OTHER = bytes(range(200, 232)), os.urandom(32)
BASE64 = base64.b64encode(KEY).decode()
URLSAFE = base64.urlsafe_b64encode(KEY).decode()
RAW = "thirty-two characters as they are"[:32]
HERE = {"where": "here"}


def sealer(key, **more):
    return Sealer.from_settings(Settings(llm_encryption_key=key, **more))


@pytest.mark.parametrize(
    "text",
    [
        BASE64,
        URLSAFE,
        BASE64.rstrip("="),
        URLSAFE.rstrip("="),
        KEY.hex(),
        KEY.hex().upper(),
        f" {BASE64}\n",
    ],
)
@pytest.mark.parametrize("app_env", ["development", "production"])
def test_a_key_is_decoded_by_what_it_is(text, app_env):
    assert sealer(text, app_env=app_env).key_id == Sealer(KEY).key_id


def test_thirty_two_characters_are_a_key_in_development_alone():
    assert sealer(RAW).key_id == Sealer(RAW.encode()).key_id
    with pytest.raises(BadEncryptionKey, match="LLM_ENCRYPTION_KEY must be 32 random bytes"):
        sealer(RAW, app_env="production")


@pytest.mark.parametrize("app_env", ["development", "production"])
@pytest.mark.parametrize(
    "text",
    ["short", "x" * 31, "x" * 33, "x" * 40, KEY.hex()[:62], BASE64 + "AA", "ключ" * 8, f"0x{KEY.hex()}"],
)
def test_what_is_no_key_is_refused_in_words_that_do_not_show_it(text, app_env):
    with pytest.raises(BadEncryptionKey, match="LLM_ENCRYPTION_KEY must be 32 random bytes") as refused:
        sealer(text, app_env=app_env)
    assert text not in str(refused.value)


def test_production_refuses_to_make_a_key(tmp_path):
    with pytest.raises(BadEncryptionKey, match="APP_ENV=production needs LLM_ENCRYPTION_KEY"):
        Sealer.from_settings(Settings(app_env="production", data_dir=tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_the_old_keys_open_and_no_longer_seal():
    old = base64.b64encode(OTHER).decode()
    both = sealer(BASE64, llm_encryption_keys_old=f"{old}, {RAW},")
    for before in (OTHER, RAW.encode()):
        assert both.open(Sealer(before).seal("sk-1", HERE), HERE) == "sk-1"
    assert both.is_current(both.seal("sk-1", HERE))


@pytest.mark.parametrize("text", [KEY.hex(), BASE64.rstrip("=")])
def test_what_was_sealed_while_a_key_was_misread_opens_and_can_be_resealed(text):
    """An earlier version took the first 32 characters of whatever was no padded base64."""
    sealed = Sealer(text.encode()[:32]).seal("sk-1", HERE)
    now = sealer(text)
    assert now.open(now.reseal(sealed, HERE), HERE) == "sk-1"
    assert now.is_current(now.reseal(sealed, HERE))


def test_a_text_that_was_once_filled_up_opens_as_an_old_key():
    now = sealer(BASE64, llm_encryption_keys_old="an earlier text")
    assert now.open(Sealer(b"an earlier text".ljust(32, b"0")).seal("sk-1", HERE), HERE) == "sk-1"


def test_a_kept_key_that_was_damaged_is_named_and_stays(tmp_path):
    made_once(tmp_path / "secret.key", "damaged")
    with pytest.raises(BadEncryptionKey, match=r"secret\.key holds no encryption key"):
        Sealer.from_settings(Settings(data_dir=tmp_path))
    assert (tmp_path / "secret.key").read_text() == "damaged\n"


def test_development_makes_a_key_once_and_keeps_it_private(tmp_path):
    settings = Settings(data_dir=tmp_path / "new")
    with ThreadPoolExecutor(8) as pool:
        sealers = list(pool.map(lambda _: Sealer.from_settings(settings), range(8)))
    assert len({sealer.key_id for sealer in sealers}) == 1
    path = tmp_path / "new" / "secret.key"
    assert decoded(path.read_text()) is not None
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in path.parent.iterdir()] == ["secret.key"]


@pytest.mark.parametrize("mode", [0o666, 0o640, 0o604, 0o620])
def test_a_key_that_others_may_read_or_write_is_not_taken(tmp_path, mode):
    settings = Settings(data_dir=tmp_path)
    Sealer.from_settings(settings)
    (tmp_path / "secret.key").chmod(mode)
    with pytest.raises(BadEncryptionKey, match="chmod 600"):
        Sealer.from_settings(settings)
