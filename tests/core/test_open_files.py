"""How many files a process may have open: as many as its connections need, where the system lets it."""

from types import SimpleNamespace

import pytest

from core import open_files

NO_END = open_files.resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("now", "most", "then"),
    [
        (1024, 1_048_576, open_files.WANTED),
        (1024, 4096, 4096),
        (256, NO_END, open_files.WANTED),
        (20_000, 1_048_576, 20_000),
        (NO_END, NO_END, NO_END),
    ],
)
def test_it_has_as_many_as_it_needs_and_never_fewer_than_before(monkeypatch, now, most, then):
    limits = [(now, most)]
    system = SimpleNamespace(
        RLIM_INFINITY=NO_END,
        RLIMIT_NOFILE=open_files.resource.RLIMIT_NOFILE,
        getrlimit=lambda _: limits[-1],
        setrlimit=lambda _, wanted: limits.append(wanted),
    )
    monkeypatch.setattr(open_files, "resource", system)
    open_files.as_many_as_needed()
    assert limits[-1] == (then, most)
