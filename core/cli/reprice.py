"""`reprice`: what a period costs by today's price tables; shows the difference, enters it when told to."""

from __future__ import annotations

import argparse
from datetime import date

from pymongo.database import Database

from core.accounts import workspaces
from core.cli.command import Command, Document, Say
from core.clock import utcnow
from core.config import Settings
from core.metering.periods import period
from core.metering.prices import Prices
from core.metering.reprice import reprice


def show_or_apply(db: Database[Document], _: Settings, given: argparse.Namespace, say: Say) -> int:
    """Says a line for each model whose costs differ."""
    workspaces.get(db, given.workspace)
    during = period(utcnow(), first=given.first, last=given.last)
    report = reprice(db, given.workspace, during, Prices(), apply=given.apply)
    for one in report["by_model"]:
        say(_line(one))
    if not any(one["calls"] for one in report["by_model"]):
        say("nothing to correct")
    elif report["applied"]:
        say("entered as corrections; roll-ups and overage follow within a minute")
    else:
        say("nothing was written: say --apply to enter the corrections")
    return 0


def _line(one: Document) -> str:
    unknown = f", {one['priced_anew']} were unknown" if one["priced_anew"] else ""
    lost = f"; {one['no_longer_known']} have no price any more and stay" if one["no_longer_known"] else ""
    costs = f"{one['before']} -> {one['after']} USD ({one['difference']})"
    return f"{one['provider']}/{one['model']}: {one['calls']} calls{unknown}, {costs}{lost}"


def _options(parser: argparse.ArgumentParser) -> None:
    for name, into, what in (("--from", "first", "the first day"), ("--to", "last", "the last day")):
        parser.add_argument(
            name, dest=into, type=date.fromisoformat, required=True, metavar="DATE", help=f"{what}, in UTC"
        )
    parser.add_argument("--workspace", default=workspaces.DEFAULT, metavar="ID", help="default: default")
    parser.add_argument("--apply", action="store_true", help="enter the corrections, not only show them")


COMMANDS = (
    Command(
        "reprice",
        "what a period costs by today's price tables",
        show_or_apply,
        _options,
        (
            "reprice --from 2026-11-01 --to 2026-11-30",
            "reprice --from 2026-11-01 --to 2026-11-30 --apply",
        ),
    ),
)
