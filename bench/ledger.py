"""Does every token count once while everything dies? `python -m bench.ledger [jobs]` (10,000).

32 clients, workers killed with `kill -9` every 2 s, Redis restarted twice. It fails when the books do not
balance: ledger, audit, allowance and budgets against what the provider counted for itself.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from bench.choices import asked_for_help
from tests.ledger_run import Plan, balance, run


def main(jobs: int = 10_000) -> None:
    with tempfile.TemporaryDirectory() as folder:
        books = run(Path(folder), Plan(jobs=jobs, clients=32, workers=2, within_s=3600))
    for name, figure in balance(books).items():
        print(f"{name:>20}: {figure}")
    print(
        f"{'accepted within':>20}: {books['accepted_s']:.0f} s; all ended and entered: {books['all_s']:.0f} s"
    )


if __name__ == "__main__":
    if not asked_for_help(__doc__, sys.argv[1:]):
        main(*map(int, sys.argv[1:]))
