"""Each block of the README does what it says, as pasted; a vendor's address is that of a provider of ours."""

from __future__ import annotations

import json
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stack import ADMIN_KEY, ROOT

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
BENCHES = sorted(path.stem for path in (ROOT / "bench").glob("*.py") if "__main__" in path.read_text())


@pytest.fixture(scope="module")
def paste(stack, obedient, tmp_path_factory):
    """Runs a block in a folder like the user's; what it printed."""
    folder = tmp_path_factory.mktemp("user")
    (folder / ".data").mkdir()
    (folder / ".data/admin.key").write_text(ADMIN_KEY)
    shutil.copy(ROOT / "README.md", folder)

    def paste(language, block):
        here = block.replace("http://127.0.0.1:3001", f"http://127.0.0.1:{stack.port}")
        here = here.replace('"sk-..."', f'"sk-...", "custom_endpoint": "{obedient}/v1"')
        here = here.replace("http://127.0.0.1:11434/v1", f"{obedient}/v1")
        run = {"sh": ["bash", "-euc", here], "python": [sys.executable, "-c", here]}[language]
        done = subprocess.run(run, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return paste


def answers(printed):
    """The JSON documents that were printed, one after the other."""
    decoder, found = json.JSONDecoder(), []
    while printed.strip():
        one, end = decoder.raw_decode(printed.strip())
        found.append(one)
        printed = printed.strip()[end:]
    return found


def test_every_block_does_what_it_says_one_after_the_other(paste):
    """Each makes something or is a job that ends well; none is told a problem."""
    said = [(block, paste(language, block)) for language, block in BLOCKS if not block.startswith("make ")]
    for block, printed in said:
        if "import openai" not in block:
            for answer in answers(printed):
                assert "code" not in answer, answer
                assert answer.get("status", "succeeded") == "succeeded", answer
    (python,) = [printed for block, printed in said if "import openai" in block]
    assert python == "word0 word1 word2 "
    asked = [
        answer["result"]["message"]["content"] for _, printed in said[:2] for answer in answers(printed)[-1:]
    ]
    assert [words.split()[0] for words in asked] == ["[sandbox]", "word0"]


def test_every_make_of_the_documentation_is_one(paste):
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    documents = [
        README,
        (ROOT / "CONTRIBUTING.md").read_text(),
        *(p.read_text() for p in ROOT.glob("docs/*.md")),
    ]
    named = {name for text in documents for name in re.findall(r"(?:^|`)make ([\w-]+)", text, re.MULTILINE)}
    assert {"run", "test"} <= named <= targets


def test_the_operators_commands_of_the_documentation_work(stack):
    """Those that are shown with all their words, each with a key that is there."""
    lines = re.findall(
        r"^\.venv/bin/python -m (core\.cli [^#\n]*)",
        _blocks_of("docs/operations.md", "docs/metering.md"),
        re.MULTILINE,
    )
    key_id = stack.http.post(f"{stack.url}/keys", json={"role": "viewer"}).json()["id"]
    assert len(lines) >= 5
    for line in lines:
        words = line.replace("KEY_ID", key_id).split()
        done = subprocess.run(
            [sys.executable, "-m", *words],
            cwd=ROOT,
            env=stack.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, (line, done.stderr)


@pytest.mark.parametrize("bench", BENCHES)
def test_a_bench_says_what_it_measures(bench, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [f"bench/{bench}.py", "--help"])
    code = None
    try:
        runpy.run_path(str(ROOT / f"bench/{bench}.py"), run_name="__main__")
    except SystemExit as ended:
        code = ended.code
    assert not code
    assert f"bench.{bench}" in capsys.readouterr().out


def _blocks_of(*paths):
    texts = [Path(ROOT / path).read_text() for path in paths]
    return "\n".join(block for text in texts for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL))
