"""`python -m core.cli`: finds the command, opens the store, says in one line why something was not done."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import structlog
from pydantic import ValidationError
from pymongo.errors import NetworkTimeout, PyMongoError

from core.cli.command import Command, Say
from core.cli.table import COMMANDS, GROUPS
from core.config import Settings, first_error
from core.encryption_keys import BadEncryptionKey
from core.errors import Problem
from core.private_files import NotPrivate
from core.services import connect_mongo
from core.store import migrations
from core.store.migrations import NewerStore

PROGRAM = "python -m core.cli"
ABOUT = """For operators. Talks to the store, not to the server, which may be up or down.
Settings come from the environment, the same as the server's: MONGODB_URI or PORT, DATA_DIR, and so on."""
PATIENCE_S = 5.0
"""For a store to be there at all."""
ANSWERED_WITHIN_S = 300.0
"""For its answers: nobody else waits for a command, and one may read or write much on a busy machine."""


def main(arguments: Sequence[str] | None = None, say: Say = print) -> int:
    """The exit code: 0 done, 1 not done, with one line that says why, 2 not understood."""
    given = parser().parse_args(arguments)
    settings = None
    try:
        settings = Settings()
        within_ms = int(ANSWERED_WITHIN_S * 1000)
        patience = {
            "socketTimeoutMS": within_ms,
            "connectTimeoutMS": within_ms,
        }  # the second: of heartbeats too
        with connect_mongo(settings, patience_s=PATIENCE_S, **patience) as mongo:
            db = mongo[settings.mongodb_database]
            migrations.reached(db)  # a later version's database is left alone
            return int(given.run(db, settings, given, say))
    except ValidationError as error:
        return _not_done(first_error(error))
    except (Problem, BadEncryptionKey, NewerStore, NotPrivate) as problem:
        return _not_done(str(problem))
    except FileNotFoundError as error:
        return _not_done(f"there is no {error.filename}: `make run` makes it, in the DATA_DIR that you set")
    except NetworkTimeout:
        return _not_done(
            f"MongoDB is there, and did not answer within {ANSWERED_WITHIN_S:g} s."
            " What was begun may be done in part: look, or run the command again"
        )
    except PyMongoError as error:
        return _not_done(f"MongoDB does not answer ({type(error).__name__}): {_hint(settings)}")


def parser() -> argparse.ArgumentParser:
    """The words and options of all commands, each with its examples."""
    whole = argparse.ArgumentParser(PROGRAM, description=ABOUT, **_shown(COMMANDS))
    first_words = whole.add_subparsers(required=True, metavar="COMMAND", title="commands")
    groups: dict[str, Any] = {"": first_words}
    for command in COMMANDS:
        group, _, word = command.words.rpartition(" ")
        if group not in groups:
            groups[group] = _group(first_words, group)
        one = groups[group].add_parser(word, help=command.help, description=command.help, **_shown([command]))
        command.options(one)
        one.set_defaults(run=command.run)
    return whole


def _group(first_words: Any, group: str) -> Any:
    members = [command for command in COMMANDS if command.words.startswith(f"{group} ")]
    of_group = first_words.add_parser(group, help=GROUPS[group], description=GROUPS[group], **_shown(members))
    return of_group.add_subparsers(required=True, metavar="COMMAND", title="commands")


def _shown(commands: Iterable[Command]) -> dict[str, Any]:
    """The end of a help text: examples, a line each."""
    lines = [f"  {PROGRAM} {example}" for command in commands for example in command.examples]
    return {
        "epilog": "\n".join(["examples:", *lines]),
        "formatter_class": argparse.RawDescriptionHelpFormatter,
    }


def _hint(settings: Settings | None) -> str:
    if settings is None or not settings.embedded_store:
        return "see MONGODB_URI"
    return f"is `make run` up with PORT={settings.port}? Set the PORT and DATA_DIR that it has"


def _not_done(why: str) -> int:
    print(f"vutler: {why}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    sys.exit(main())
