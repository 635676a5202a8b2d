"""How many files a worker may have open: as many as its calls need, where the system lets it."""

from types import SimpleNamespace

import pytest

from workers import process

NO_END = process.resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("now", "most", "then"),
    [
        (1024, 1_048_576, process.OPEN_FILES),
        (1024, 4096, 4096),
        (256, NO_END, process.OPEN_FILES),
        (20_000, 1_048_576, 20_000),
        (NO_END, NO_END, NO_END),
    ],
)
def test_it_has_as_many_as_it_needs_and_never_fewer_than_before(monkeypatch, now, most, then):
    limits = [(now, most)]
    system = SimpleNamespace(
        RLIM_INFINITY=NO_END,
        RLIMIT_NOFILE=process.resource.RLIMIT_NOFILE,
        getrlimit=lambda _: limits[-1],
        setrlimit=lambda _, wanted: limits.append(wanted),
    )
    monkeypatch.setattr(process, "resource", system)
    process._more_open_files()
    assert limits[-1] == (then, most)
