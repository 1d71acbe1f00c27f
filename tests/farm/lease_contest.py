"""Processes that fight for one board: is it ever held twice, and how soon does it change hands?

python tests/farm/lease_contest.py --processes 8 --acquisitions 10000 --busy 2
"""

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from farm.leases.lease import lease
from farm.rack.inventory import Board, load_rack

ROOT = Path(__file__).parents[2]
_ANSWER_S = 60.0
_FORK = multiprocessing.get_context("fork")


@dataclass(frozen=True)
class Outcome:
    """granted: leases had; double: times that somebody else was inside too; handover_s: how long
    after a holder was killed the next one had the board, of each kill."""

    granted: int
    double: int
    seconds: float
    handover_s: tuple[float, ...] = ()


def contest(folder: Path, processes: int, acquisitions: int) -> Outcome:
    """Let `processes` share `acquisitions` of one board; `folder` is for their marks."""
    board, started = _board(), time.monotonic()
    share = acquisitions // processes
    with _FORK.Pool(processes) as pool:
        work = pool.starmap_async(_fight, [(board, folder / "inside", share)] * processes)
        found = work.get(_ANSWER_S + 0.1 * acquisitions)
    tokens = [token for granted, _ in found for token in granted]
    double = sum(twice for _, twice in found) + len(tokens) - len(set(tokens))
    return Outcome(len(tokens), double, time.monotonic() - started)


def handovers(kills: int) -> tuple[float, ...]:
    """Seconds from the death of a holder to the next lease, `kills` times."""
    return tuple(_handover(_board()) for _ in range(kills))


@contextmanager
def busy_loops(count: int) -> Iterator[None]:
    """Keep `count` cores from everybody else."""
    loops = [_FORK.Process(target=_spin, daemon=True) for _ in range(count)]
    for loop in loops:
        loop.start()
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.join(_ANSWER_S)


def _spin() -> None:
    end_s = time.monotonic() + 3600.0
    while time.monotonic() < end_s:
        pass


def _fight(board: Board, inside: Path, count: int) -> tuple[list[int], int]:
    """Tokens of `count` leases, and how often the mark of somebody else was there."""
    tokens, twice = [], 0
    for _ in range(count):
        with lease(board, _ANSWER_S) as held:
            try:
                os.close(os.open(inside, os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                twice += 1
            tokens.append(held.token)
            inside.unlink(missing_ok=True)
    return tokens, twice


def _handover(board: Board) -> float:
    ours, theirs = _FORK.Pipe()
    holder = _FORK.Process(target=_hold, args=(board, theirs))
    holder.start()
    ours.recv()
    waiter = _FORK.Process(target=_hold, args=(board, theirs))
    waiter.start()
    time.sleep(0.3)  # it stands in line by then, or the figure is the worse for it
    died_s = time.monotonic()
    holder.kill()
    held_s = float(ours.recv())
    waiter.kill()
    for process in (holder, waiter):
        process.join(_ANSWER_S)
    return held_s - died_s


def _hold(board: Board, pipe: object) -> None:
    with lease(board, _ANSWER_S):
        pipe.send(time.monotonic())
        time.sleep(_ANSWER_S)


def _board() -> Board:
    return load_rack(ROOT / "boards.yaml").boards[0]


def main() -> int:
    """Fight, kill, and say what was seen; 1 when a board was ever held twice."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--acquisitions", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--busy", type=int, default=0, help="busy loops beside it all")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, busy_loops(args.busy):
        os.environ["XDG_STATE_HOME"] = folder
        found = contest(Path(folder), args.processes, args.acquisitions)
        times_ms = sorted(1e3 * seconds for seconds in handovers(args.kills))
    sys.stdout.write(
        f"{found.granted} leases by {args.processes} processes in {found.seconds:.1f} s, "
        f"{found.double} double; a killed holder's board had its next one after "
        f"{times_ms[len(times_ms) // 2]:.1f} ms (median), "
        f"{times_ms[9 * len(times_ms) // 10]:.1f} ms (9 in 10), {times_ms[-1]:.1f} ms at most of "
        f"{args.kills}, beside {args.busy} busy loops\n"
    )
    return 1 if found.double else 0


if __name__ == "__main__":
    sys.exit(main())
