"""For operators: `python -m web.cli keys create|list|revoke`, `… reseal`. Needs the store, not the server."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from pymongo.database import Database
from pymongo.errors import PyMongoError

from core import reseal
from core.accounts import keys, workspaces
from core.clock import utcnow
from core.config import Settings
from core.crypto import BadEncryptionKey, Sealer
from core.errors import Problem
from core.services import connect_mongo

Document = dict[str, Any]

PATIENCE_S = 5.0
UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def main(arguments: Sequence[str] | None = None, say: Callable[[str], object] = print) -> int:
    """The exit code: 0 done, 1 not, with one line that says why, 2 not understood."""
    given = parser().parse_args(arguments)
    settings = Settings()
    mongo = connect_mongo(settings, patience_s=PATIENCE_S)
    try:
        return int(given.run(mongo[settings.mongodb_database], settings, given, say))
    except Problem as problem:
        print(f"vutler: {problem.detail}", file=sys.stderr)
    except BadEncryptionKey as problem:
        print(f"vutler: {problem}", file=sys.stderr)
    except PyMongoError as error:
        print(f"vutler: MongoDB does not answer ({type(error).__name__}): see MONGODB_URI", file=sys.stderr)
    finally:
        mongo.close()
    return 1


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    whole = argparse.ArgumentParser("python -m web.cli", description=__doc__)
    commands = whole.add_subparsers(required=True)
    of_keys = commands.add_parser("keys", help="make, list and end API keys").add_subparsers(required=True)

    create = of_keys.add_parser("create", help="make a key and print it, this once")
    create.add_argument("--role", choices=("admin", "member", "viewer", "agent"), default="member")
    create.add_argument("--name", default="")
    create.add_argument("--agent", action="append", metavar="ID", help="the key may touch this agent alone")
    create.add_argument("--expires-in", type=duration, metavar="30d")
    create.set_defaults(run=create_key)

    listing = of_keys.add_parser("list", help="the keys of a workspace, newest first")
    listing.set_defaults(run=list_keys)

    revoke = of_keys.add_parser("revoke", help="end a key")
    revoke.add_argument("id")
    revoke.add_argument("--grace", type=duration, default=timedelta(), metavar="10m")
    revoke.set_defaults(run=revoke_key)

    for command in (create, listing, revoke):
        command.add_argument("--workspace", default=workspaces.DEFAULT, metavar="ID")

    again = commands.add_parser("reseal", help="seal everything under the current LLM_ENCRYPTION_KEY")
    again.set_defaults(run=reseal_all)
    return whole


def duration(text: str) -> timedelta:
    """`30d`, `12h`, `5m`."""
    found = re.fullmatch(r"(\d{1,5})([mhd])", text)
    if found is None:
        raise argparse.ArgumentTypeError("say 30d, 12h or 5m")
    return timedelta(**{UNITS[found[2]]: int(found[1])})


def create_key(db: Database[Document], _: Settings, given: argparse.Namespace, say: Any) -> int:
    if given.workspace != workspaces.DEFAULT:
        workspaces.get(db, given.workspace)
    if given.role == "agent" and len(given.agent or []) != 1:
        raise Problem("a key of the role agent is bound to exactly one --agent")
    key, text = keys.make(
        db,
        role=given.role,
        workspace_id=given.workspace,
        name=given.name,
        agents=given.agent,
        expires_at=utcnow() + given.expires_in if given.expires_in else None,
        created_by="command line",
    )
    say(f"{key['_id']}  {text}")
    return 0


def list_keys(db: Database[Document], _: Settings, given: argparse.Namespace, say: Any) -> int:
    cursor = None
    while True:
        page, cursor = keys.page(db, given.workspace, limit=200, cursor=cursor)
        for key in page:
            state = "alive" if keys.alive(key, utcnow()) else "ended"
            say(f"{key['_id']}  {key['role']:<6}  {state}  …{key['hint']}  {key['name']}".rstrip())
        if cursor is None:
            return 0


def revoke_key(db: Database[Document], _: Settings, given: argparse.Namespace, say: Any) -> int:
    keys.revoke(db, keys.get(db, given.workspace, given.id), given.grace)
    say(f"{given.id} ends {'now' if not given.grace else f'in {given.grace}'}")
    return 0


def reseal_all(db: Database[Document], settings: Settings, _: argparse.Namespace, say: Any) -> int:
    report = reseal.everything(db, Sealer.from_settings(settings), settings)
    say(f"sealed anew: {report['resealed']}")
    for lost in report["cannot_open"]:
        say(f"no configured key opens: {lost}")
    return 1 if report["cannot_open"] else 0


if __name__ == "__main__":
    sys.exit(main())
