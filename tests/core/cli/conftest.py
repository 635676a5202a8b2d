from __future__ import annotations

import pytest

from core.cli.__main__ import main


@pytest.fixture
def run(settings, db, tmp_path, monkeypatch, capsys):
    """Carries out a command as an operator would; (exit code, lines, errors)."""
    environment = {
        "MONGODB_URI": settings.mongodb_uri,
        "MONGODB_DATABASE": db.name,
        "DATA_DIR": str(tmp_path),
    }

    def run(*arguments, **more):
        for name, value in {**environment, **more}.items():
            monkeypatch.setenv(name, value)
        try:
            code = main(arguments)
        except SystemExit as not_understood:
            code = not_understood.code
        said = capsys.readouterr()
        return code, said.out.splitlines(), said.err

    return run
