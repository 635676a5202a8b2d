"""`keys create`, `keys list`, `keys revoke`: API keys, also for when nobody has an admin key any more."""

from __future__ import annotations

import argparse
from datetime import timedelta
from typing import get_args

from pymongo.database import Database

from core.accounts import keys, workspaces
from core.agents import agents
from core.cli.command import Command, Document, Say, duration
from core.clock import utcnow
from core.config import Settings
from core.documents import AskedRole

PAGE = 200


def create(db: Database[Document], _: Settings, given: argparse.Namespace, say: Say) -> int:
    """Says the new key's id and its text, which is shown this once."""
    if given.workspace != workspaces.DEFAULT:
        workspaces.get(db, given.workspace)
    bound = given.agent and [agents.id_of(db, given.workspace, named) for named in given.agent]
    agents.check_bound(db, given.workspace, given.role, bound)
    key, text = keys.make(
        db,
        role=given.role,
        workspace_id=given.workspace,
        name=given.name,
        agents=bound,
        expires_at=utcnow() + given.expires_in if given.expires_in else None,
        created_by="command line",
    )
    say(f"{key['_id']}  {text}")
    return 0


def show(db: Database[Document], _: Settings, given: argparse.Namespace, say: Say) -> int:
    """Says a line for each key."""
    cursor = None
    while True:
        page, cursor = keys.page(db, given.workspace, limit=PAGE, cursor=cursor)
        for key in page:
            state = "alive" if keys.alive(key, utcnow()) else "ended"
            say(f"{key['_id']}  {key['role']:<6}  {state}  …{key['hint']}  {key['name']}".rstrip())
        if cursor is None:
            return 0


def revoke(db: Database[Document], _: Settings, given: argparse.Namespace, say: Say) -> int:
    keys.revoke(db, keys.get(db, given.workspace, given.id), given.grace)
    say(f"{given.id} ends {'now' if not given.grace else f'in {given.grace}'}")
    return 0


def _create_options(parser: argparse.ArgumentParser) -> None:
    _workspace(parser)
    parser.add_argument("--role", choices=get_args(AskedRole), default="member", help="default: member")
    parser.add_argument("--name", default="", help="to tell it from others in lists")
    parser.add_argument(
        "--agent", action="append", metavar="ID", help="or agent:NAME: only this one; may be repeated"
    )
    parser.add_argument("--expires-in", type=duration, metavar="30d", help="default: never")


def _revoke_options(parser: argparse.ArgumentParser) -> None:
    _workspace(parser)
    parser.add_argument("id", metavar="ID", help="as `keys list` shows it")
    parser.add_argument(
        "--grace", type=duration, default=timedelta(), metavar="10m", help="default: it ends at once"
    )


def _workspace(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workspace", default=workspaces.DEFAULT, metavar="ID", help="default: default")


COMMANDS = (
    Command(
        "keys create",
        "make a key and print its id and its text, this once",
        create,
        _create_options,
        ("keys create --role member --name ci --expires-in 90d", "keys create --role agent --agent AGENT_ID"),
    ),
    Command("keys list", "the keys of a workspace, newest first", show, _workspace, ("keys list",)),
    Command(
        "keys revoke",
        "end a key, at once or after a grace",
        revoke,
        _revoke_options,
        ("keys revoke KEY_ID --grace 1h",),
    ),
)
