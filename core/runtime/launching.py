"""Launching an agent's process: a port, a key, a directory, a look at the configuration, then the process."""

from __future__ import annotations

import os
import secrets
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from core.agents import agents, credentials
from core.config import Settings
from core.crypto import Sealer
from core.documents import Agent
from core.errors import Problem
from core.ids import new_nonce
from core.runtime import instance_keys, openclaw, ports, processes, records, spawn, spec
from core.runtime.documents import Record, Spec
from core.runtime.folder import Folder
from core.runtime.marks import Marks
from core.runtime.openclaw import BadConfig

Document = dict[str, Any]

FILLS = ("box", "id", "port", "memory_mb", "program")
"""What `{name}` may stand for in RUNTIME_WRAPPER, beside `{env}`."""


class CannotStart(Exception):
    """Another try changes nothing; the text says why."""


class NotNow(Exception):
    """It could not be started this time; the text says why."""


@dataclass(frozen=True)
class Launch:
    """Starts processes of one host, with its marks."""

    db: Database[Document]
    settings: Settings
    sealer: Sealer
    marks: Marks

    def prepared(self, record: Record) -> Record | None:
        """The record with a new instance and a port of its own. None: somebody else changed it.

        Raises `NotNow`. A port is an agent's alone on this machine: the index says so.
        """
        boot = processes.boot()
        for port in ports.candidates(self.settings.runtime_ports):
            if not ports.free(port):
                continue
            try:
                return records.change(
                    self.db,
                    record,
                    instance=new_nonce(),
                    port=port,
                    listens=f"{boot}:{port}",
                    pid=None,
                    pid_started=None,
                    started_at=None,
                    ready_at=None,
                )
            except DuplicateKeyError:
                continue
        raise NotNow(f"no port is free among {self.settings.runtime_ports}")

    def start(self, record: Record, folder: Folder, plan: Spec) -> subprocess.Popen[bytes]:
        """The process of a prepared record. Raises `CannotStart`, `NotNow`, `PyMongoError`."""
        program, port, instance = executable(plan), record["port"], record["instance"]
        assert port is not None
        assert instance is not None
        try:
            agent = agents.get(self.db, record["workspace_id"], record["_id"])
            secret = self._secrets(agent, plan, instance)
            token = secret[openclaw.TOKEN]
            folder.adopt(agent.get("imported", {}).get("job_id"))
            folder.make()
            folder.write(openclaw.config(folder, port, plan, plan["providers"]), plan["system_prompt"], token)
            environment = openclaw.environment(folder, program, secret)
            openclaw.check(program, folder, environment)
            return spawn.start(
                folder,
                openclaw.command(program, folder, port),
                environment,
                mark=self.marks.of(record["_id"], instance),
                wrapper=self.settings.runtime_wrapper,
                fills=self._fills(record, folder, program),
            )
        except BadConfig as refused:
            raise CannotStart(f"OpenClaw refuses its configuration: {refused}") from None
        except Problem as problem:
            raise CannotStart(problem.detail) from None
        except ValueError as error:
            raise CannotStart(f"RUNTIME_WRAPPER: {error}") from None
        except subprocess.TimeoutExpired:
            raise NotNow(f"{program.name} did not answer within {openclaw.CHECK_S:g} s") from None
        except OSError as error:
            raise NotNow(f"it cannot be started: {error.strerror or type(error).__name__}") from None

    def _secrets(self, agent: Agent, plan: Spec, instance: str) -> dict[str, str]:
        secret = {openclaw.TOKEN: secrets.token_urlsafe(32)}
        if not plan["keys"]:
            return {**secret, openclaw.DOOR_KEY: instance_keys.make(self.db, agent, instance)}
        return secret | spec.provider_keys(
            plan,
            agent,
            sealer=self.sealer,
            settings=self.settings,
            find_credential=lambda name: credentials.find(self.db, agent["workspace_id"], name),
        )

    def _fills(self, record: Record, folder: Folder, program: Path) -> dict[str, str]:
        given = (folder.box, record["_id"], record["port"], self.settings.runtime_memory_mb, program.parent)
        return {name: str(value) for name, value in zip(FILLS, given, strict=True)}


def executable(plan: Spec) -> Path:
    """The program. Raises `CannotStart`, which says what to do."""
    program = Path(plan["program"])
    if not program.exists():
        raise CannotStart(f"there is no program at {program}: run `make openclaw`, or set OPENCLAW_PATH")
    if not os.access(program, os.X_OK):
        raise CannotStart(f"{program} cannot be run: it is no executable file")
    return program
