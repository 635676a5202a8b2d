"""OpenClaw's side of the runtime: its configuration, its environment, its command line, what it says.

Measured with openclaw@2026.9.6 from npm, 2026-11. It refuses keys that it does not know; an agent without a
tool policy may run commands, and an empty `allow` allows everything. The program that runs in the foreground
is `gateway run`; an executable whose `gateway start --help` names `--config` is started by that instead.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from core.runtime.folder import Folder

Document = dict[str, Any]

BAD_CONFIG = 78
"""The exit code for a configuration that it cannot use (EX_CONFIG): another try changes nothing."""

TOKEN, DOOR_KEY = "OPENCLAW_GATEWAY_TOKEN", "VUTLER_AGENT_KEY"
OWN_MODEL = "openclaw/main"
DOOR = "vutler"
RUNS_COMMANDS = frozenset(
    {"exec", "process", "bash", "code_execution", "group:runtime", "group:openclaw", "*"}
)
SHORTEST_BUDGET = 20_000
"""Letters of `AGENTS.md` that it reads by default."""
LOG_BYTES = 5_000_000
CHECK_S = 60.0
SWITCHES = {
    "OPENCLAW_SUPERVISOR_MODE": "external",
    "OPENCLAW_NO_RESPAWN": "1",
    "OPENCLAW_DISABLE_BONJOUR": "1",
    "OPENCLAW_SKIP_CHANNELS": "1",
    "OPENCLAW_EXEC_SHELL_SNAPSHOT": "0",
    "OPENCLAW_NO_AUTO_UPDATE": "1",
    "OPENCLAW_OFFLINE": "1",
    "DO_NOT_TRACK": "1",
}


VERSION = "2026.9.6"
"""What `make openclaw` installs: core/runtime/npm/package.json has the same."""


class BadConfig(Exception):
    """The program refuses the configuration; the text says what it says."""


def installed_in(data_dir: Path) -> Path:
    """Where `make openclaw` puts the program; each version has a folder of its own."""
    return data_dir / "openclaw" / VERSION / "node_modules" / "openclaw" / "openclaw.mjs"


def config(folder: Folder, port: int, spec: Mapping[str, Any], providers: Mapping[str, Any]) -> Document:
    """`openclaw.json`. `providers`: as `models.providers` has them; keys are names of variables alone."""
    letters = max(SHORTEST_BUDGET, len(spec["system_prompt"] or "") + 1)
    first, *others = spec["models"]
    return {
        "gateway": {
            "mode": "local",
            "bind": "loopback",
            "port": port,
            "auth": {"mode": "token", "token": f"${{{TOKEN}}}"},
            "controlUi": {"enabled": False},
            "reload": {"mode": "off"},
            "http": {"endpoints": {"chatCompletions": {"enabled": True}}},
        },
        "update": {"checkOnStart": False},
        "telemetry": {"enabled": False},
        "discovery": {"mdns": {"mode": "off"}},
        "logging": {
            "file": str(folder.box / "openclaw.log"),
            "level": "info",
            "consoleStyle": "json",
            "maxFileBytes": LOG_BYTES,
        },
        "cron": {"enabled": False},
        "browser": {"enabled": False},
        "plugins": {"enabled": False},
        "tools": {"toolSearch": False},
        "agents": {
            "defaults": {
                "workspace": str(folder.workspace),
                "skipBootstrap": True,
                "skills": [],
                "heartbeat": {"every": "0m"},
                "bootstrapMaxChars": letters,
                "bootstrapTotalMaxChars": letters,
                "model": {"primary": first, **({"fallbacks": others} if others else {})},
            },
            "entries": {"main": {"name": spec["name"], "tools": tool_policy(spec["tools"])}},
        },
        "models": {"mode": "replace", "catalogRefresh": {"enabled": False}, "providers": dict(providers)},
    }


def tool_policy(tools: Iterable[str]) -> Document:
    """What the agent was given and nothing else; commands only where they are named."""
    allowed = sorted(set(tools))
    if not allowed:
        return {"deny": ["*"]}
    if RUNS_COMMANDS & set(allowed):
        return {"allow": allowed}
    return {"allow": allowed, "deny": ["exec", "process"]}


def environment(folder: Folder, program: Path, secrets: Mapping[str, str]) -> dict[str, str]:
    """All that the process sees: nothing of our own environment."""
    return {
        "PATH": search_path(program),
        "HOME": str(folder.box / "home"),
        "TMPDIR": str(folder.box / "tmp"),
        "LANG": "C.UTF-8",
        "OPENCLAW_STATE_DIR": str(folder.box / "state"),
        "OPENCLAW_CONFIG_PATH": str(folder.config),
        **SWITCHES,
        **secrets,
    }


def command(program: Path, folder: Folder, port: int) -> list[str]:
    """What to run. Raises `OSError`, `subprocess.SubprocessError`."""
    if takes_config(str(program), program.stat().st_mtime_ns):
        return [str(program), "gateway", "start", "--config", str(folder.config)]
    return [str(program), "gateway", "run", "--port", str(port), "--bind", "loopback"]


@lru_cache(maxsize=64)
def takes_config(program: str, _changed: int) -> bool:
    """Is it started by `gateway start --config <file>`? Asked once, until the file changes."""
    said = _run(Path(program), ["gateway", "start", "--help"], {})
    return "--config" in said.stdout + said.stderr


def check(program: Path, folder: Folder, environment: Mapping[str, str]) -> None:
    """Let the program look at its configuration, before anything is started. Raises `BadConfig`.

    One that is started by `--config` looks when it starts.
    """
    if takes_config(str(program), program.stat().st_mtime_ns):
        return
    with TemporaryDirectory(prefix="vutler-check-") as empty:
        # No wrapper stands in front of this: what the process has left in its box is not for it.
        own = dict.fromkeys(("HOME", "TMPDIR", "OPENCLAW_STATE_DIR"), empty)
        ended = _run(program, ["config", "validate", "--json"], {**environment, **own}, Path(empty))
    if ended.returncode != 0:
        raise BadConfig(_issues(ended.stdout) or ended.stderr.strip()[-500:] or f"exit {ended.returncode}")


def search_path(program: Path) -> str:
    """Its own folder, and a Node that was installed beside it, before those of the system."""
    real = program.resolve()
    above = [parent for parent in real.parents if parent.name == "node_modules"]
    found = [str(node.parent) for parent in above for node in sorted(parent.glob("node*/bin/node"))]
    return os.pathsep.join([*found, str(real.parent), "/usr/local/bin", "/usr/bin", "/bin"])


def what_failed(lines: Iterable[str]) -> str | None:
    """Why a turn failed, as the log has it: the answer says `internal error` alone."""
    said = [entry for line in lines if (entry := _entry(line)).get("subsystem") == "openai-compat"]
    return str(said[-1].get("message", ""))[:1000] if said else None


def _entry(line: str) -> Document:
    try:
        entry = json.loads(line)
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}


def _run(
    program: Path, arguments: list[str], environment: Mapping[str, str], folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(program), *arguments],
        cwd=folder,
        env={"PATH": search_path(program), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=CHECK_S,
        check=False,
    )


def _issues(said: str) -> str:
    """`path: message` of each issue that `config validate --json` names."""
    start = said.find("{")
    found = _entry(said[start:]) if start >= 0 else {}
    named = [issue for issue in found.get("issues") or [] if isinstance(issue, dict)]
    return "; ".join(f"{issue.get('path', '')}: {issue.get('message', '')}".strip(": ") for issue in named)[
        :1000
    ]
