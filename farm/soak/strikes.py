"""Faults in some of the steps of all jobs, written down before they begin."""

from __future__ import annotations

import contextlib
import json
import random
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from farm.errors import BenchError
from farm.job import Event
from farm.rack.inventory import Board
from farm.soak.chaos import CAUSES, TRIALS, Trial
from farm.virtual import rack
from farm.virtual.faults import clear, fault, inject

WORKER_KILL, MANAGER_KILL = "worker-kill", "manager-kill"


@dataclass(frozen=True)
class Struck:
    """One line of the log; `job`, `board` and `stage` are empty where they mean nothing."""

    kind: str
    life: int
    job: str = ""
    board: str = ""
    stage: str = ""
    pid: int = 0
    steps: int = 0  # of this life, so far


class Log:
    """A file of one JSON object a line, which outlives whoever writes it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, struck: Struck) -> None:
        """Write a line, at once."""
        with self._path.open("a", encoding="utf-8") as log:
            log.write(json.dumps(vars(struck)) + "\n")

    def read(self) -> list[Struck]:
        """All lines; one that a kill cut off is left out."""
        found = []
        lines = self._path.read_text(encoding="utf-8").splitlines() if self._path.exists() else []
        for line in lines:
            with contextlib.suppress(ValueError):
                found.append(Struck(**json.loads(line)))
        return found


class Strikes:
    """Begins faults as a manager's progress is told, and mends a board when its attempt ended."""

    def __init__(
        self, boards: Iterable[Board], log: Log, life: int, rate: float, seed: int
    ) -> None:
        self._boards = {board.id: board for board in boards}
        self._log, self._life, self._rate = log, life, rate
        self._random = random.Random(f"{seed} {life}")
        self._steps = 0
        self._at: dict[str, str] = {}  # the board of each job: an end by failure names none

    def on_event(self, event: Event) -> None:
        """The progress of a manager."""
        if event.kind == "started":
            self._at[event.job] = event.board
        board = self._boards.get(event.board or self._at.get(event.job, ""))
        if board is None:
            return
        if event.kind == "stage":
            self._step(event, board)
        elif event.kind in ("done", "failed", "retried", "aside"):
            mend(board)

    def end(self) -> None:
        """Write down how many steps there were."""
        self._log.add(Struck("", self._life, steps=self._steps))

    def _step(self, event: Event, board: Board) -> None:
        self._steps += 1
        trials = _trials(event.detail)
        if not trials or self._random.random() >= self._rate:
            return
        trial = self._random.choice(trials)
        where = Struck(trial.kind, self._life, event.job, board.id, event.detail, 0, self._steps)
        self._log.add(where)
        with contextlib.suppress(BenchError):  # the board is not up: nothing to be hit
            inject(board, fault(trial.kind, self._random.randrange(2**16), **trial.values))


def mend(board: Board) -> None:
    """What a person does who is called to a board: end its faults, and its power if need be."""
    found = rack.find(board.probe_uid)
    if found is not None and found.alive:
        with contextlib.suppress(BenchError):
            clear(board)
            rack.power(board, "cycle" if found.faults else "on")


def explains(struck: Sequence[Struck], said: str) -> bool:
    """Whether one of these faults, or of these kills, makes what a failure said true."""
    return any(_explains(each, said) for each in struck)


def by_kind(struck: Iterable[Struck]) -> Mapping[str, int]:
    """How many there were of each kind."""
    return dict(sorted(Counter(each.kind for each in struck if each.kind).items()))


def _explains(struck: Struck, said: str) -> bool:
    if struck.kind == WORKER_KILL:
        return f"process {struck.pid}, ended (by SIGKILL)" in said
    causes = f"{CAUSES[struck.kind]}|{_ALSO.get(struck.kind, '(?!)')}"
    return re.search(causes, said) is not None


def _trials(stage: str) -> Sequence[Trial]:
    return [trial for trial in TRIALS if trial.stage == stage] or _ANYWHERE.get(stage, ())


# What faults make true in other stages than those of the table.
_LINE = r"the output changed|it refused \w+: bad input"
_ALSO = {
    "uart-lose": _LINE,
    "uart-repeat": _LINE,
    "uart-flip": _LINE,
    # It starts anew, unclocked; a debugger that connects just then finds half of a debug port.
    "brown-out": rf"its clock measures (4|16|64)\.00|No cores were discovered|{_LINE}",
    # Ended by a power cycle, in mid-attempt where `mend` comes late: the input goes with it.
    "core-hang": r"clock marks came|it refused \w+: bad input",
    "core-lockup": r"clock marks came|it refused \w+: bad input",
    "clock-source": "no answer to",  # the console's rate goes with the clock
    "daemon-kill": "No cores were discovered",  # it starts anew while a debugger connects
}

# In the stages that the table has no trials of: what may strike whatever a board is doing.
_LATER = ("core-hang", "core-lockup", "brown-out", "daemon-kill", "uart-delay")
_ANYWHERE = {
    stage: tuple(Trial(stage, kind, {}) for kind in _LATER)
    for stage in ("reset", "console", "banner", "load", "trace", "stack", "clock", "verify again")
}
