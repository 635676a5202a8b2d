"""Files that are made once, and that nobody but their owner may read."""

from __future__ import annotations

import secrets
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from core.private_files import NotPrivate, made_once, read_private


def test_a_file_is_written_once_and_is_its_owners_alone(tmp_path):
    texts = [secrets.token_hex(8) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda text: made_once(tmp_path / "new" / "f", text), texts))
    assert made.count(True) == 1
    assert read_private(tmp_path / "new" / "f") == texts[made.index(True)]
    assert stat.S_IMODE((tmp_path / "new" / "f").stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["f"]


@pytest.mark.parametrize("mode", [0o666, 0o640, 0o604, 0o620, 0o602])
def test_a_file_that_others_may_read_or_write_is_not_read(tmp_path, mode):
    made_once(tmp_path / "f", "secret")
    (tmp_path / "f").chmod(mode)
    with pytest.raises(NotPrivate, match="chmod 600") as refused:
        read_private(tmp_path / "f")
    assert "secret" not in str(refused.value)
