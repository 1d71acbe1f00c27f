"""Kill writers of the store at random points: what was acknowledged must be there.

    python -m farm.store.crash --kills 500 --seed 1
    python -m farm.store.crash --store postgresql://me@/postgres --writers 8 --restart 'COMMAND'

Writer processes open the store and store one thing after the other, all for one board, each with
the fence of a newer lease. At a random moment each gets SIGKILL: while it opens, makes or migrates
the store, or in the middle of a commit. Then the store must open, every row that was acknowledged
must be there, at most one more a kill, none of an older lease behind one of a newer, and the audit
must hold. Every few kills it begins with a new store, every second time with one of an earlier
version that has rows.

With the URL of a PostgreSQL server each store is a database of its own, made and dropped again. The
command of `--restart` is run once a store, while all writers write; they have to go on behind it.

SIGKILL ends a process, not a computer: what a power cut leaves depends on the disk too, which is
why every commit is fsynced (synchronous = FULL).
"""

import argparse
import shlex
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from farm.errors import FarmError
from farm.store.crash_trial import Trial, own_place
from farm.store.old import make_version_1, make_version_2
from farm.store.place import Place

KILLS_A_STORE = 20  # then a new one, or each look at all rows would take longer and longer
_EARLY_ROWS = 40  # of a store of an earlier version


@dataclass(frozen=True)
class Plan:
    """kills: at least so many; writers: at once; restart: a command, () for none."""

    kills: int
    seed: int = 1
    where: str | None = None
    writers: int = 1
    restart: tuple[str, ...] = ()


@dataclass
class Tally:
    """What became of the writers: kills, those before their first row, rows said and kept."""

    kills: int = 0
    early: int = 0
    stores: int = 0
    restarts: int = 0
    said: int = 0
    kept: int = 0
    entries: int = 0

    def __str__(self) -> str:
        return (
            f"{self.kills} writers killed ({self.early} before their first row, {self.stores} "
            f"stores, {self.restarts} restarts of the server): {self.said:,} rows were "
            f"acknowledged, {self.kept:,} are there, none is missing; {self.entries:,} audit "
            "entries hold"
        )


def run(folder: Path, plan: Plan) -> Tally:
    """Kill so many writers of stores in `folder` or on the server; FarmError at the first loss."""
    chance, tally = np.random.default_rng(plan.seed), Tally()
    while tally.kills < plan.kills:
        with own_place(plan.where, folder, tally.stores) as place:
            trial = Trial(place, chance)
            if tally.stores % 2:
                trial.said |= _make_old(place, tally.stores)
            rows, entries = _kill(trial, plan, tally)
        tally.kills += trial.kills
        tally.early += trial.early
        tally.stores += 1
        tally.said += len(trial.said)
        tally.kept += rows
        tally.entries += entries
    return tally


def _kill(trial: Trial, plan: Plan, tally: Tally) -> tuple[int, int]:
    """Rows and entries in the end; looked at behind each round of kills."""
    rows = entries = 0
    most = min(KILLS_A_STORE, plan.kills - tally.kills)
    restart = plan.restart
    while trial.kills < most:
        trial.kill_some(plan.writers, restart)
        tally.restarts += bool(restart)
        restart = ()
        rows, entries = trial.check()
    return rows, entries


def _make_old(place: Place, number: int) -> set[str]:
    """Of version 1 or 2 in turn; servers there are since version 2."""
    if place.path and number % 4 == 1:
        return make_version_1(place.path, _EARLY_ROWS)
    return make_version_2(place, _EARLY_ROWS, {})


def main(argv: Sequence[str] | None = None) -> int:
    """Kill, look, tell; 1 when something stored was lost."""
    parser = argparse.ArgumentParser(prog="python -m farm.store.crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=500, help="writers, at least (500)")
    parser.add_argument("--seed", type=int, default=1, help="of the moments of SIGKILL")
    parser.add_argument("--store", metavar="URL", help="of a PostgreSQL server; else files")
    parser.add_argument("--writers", type=int, default=1, help="at once (1)")
    parser.add_argument("--restart", metavar="COMMAND", default="", help="restarts the server")
    args = parser.parse_args(argv)
    restart = tuple(shlex.split(args.restart))
    plan = Plan(args.kills, args.seed, args.store, args.writers, restart)
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tinyrack-crash-") as folder:
        try:
            tally = run(Path(folder), plan)
        except FarmError as error:
            sys.stderr.write(f"tinyrack: {error}\n")
            return 1
    sys.stdout.write(f"{tally}; {time.monotonic() - began_s:.0f} s\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
