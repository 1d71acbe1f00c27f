"""Faults while a soak runs: what strikes which turn, and what may be said about it afterwards."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass

from farm.errors import BenchError
from farm.job import Event, Job
from farm.rack.inventory import Board
from farm.virtual import rack
from farm.virtual.faults import KINDS, Fault, clear, fault, inject

RETRIES = 1  # with more, a fault that stays would put a board out of service
DEADLINE_S = 45.0  # of an attempt: a board that fell silent takes all of it
_BASE = 0x0800_0000  # flash of every part
_LOST = r"its probe is unplugged|no probe \S+ is connected"
_DEAD = r"no answer to|no acknowledge|Target not detected|over after the stage|deadline"
_DIRTY = "flash program page failure"  # an STM32L4 programs only what is erased
# A byte too many in a length, and the board waits for a frame's rest. Each request that is lost
# costs a quarter of the time that is left.
_NOISY = r"no answer to|over after the stage"
_ROTTEN = (
    rf"holds 0x|the core faulted|it refused|its flash has changed|{_DEAD}"  # the later, the more
)
_KILLED = rf"daemon|console|no probe \S+ is connected|{_DEAD}"


@dataclass(frozen=True)
class Trial:
    """One fault, the stage of a measurement in which it begins, and what a failure may say.

    `says` is empty for a fault that must not make an attempt fail. The word of a stage comes a
    moment after its beginning, so the fault may also strike later, or too late to be noticed.
    """

    stage: str
    kind: str
    values: Mapping[str, int | float | str]
    says: str = ""


TRIALS = (
    Trial("flash", "flash-program", {"at": _BASE}, "flash program page failure"),
    Trial("flash", "flash-erase", {"at": _BASE, "times": 1}, "flash erase sector failure"),
    Trial("flash", "flash-erase", {"at": _BASE, "times": 1, "how": "silent"}, f"holds 0x|{_DIRTY}"),
    Trial("verify", "flash-cell", {"at": _BASE, "bit": 3, "value": 1}, _ROTTEN),
    Trial("verify", "flash-rot", {"at": _BASE, "bytes": 512, "bits": 2}, _ROTTEN),
    Trial("flash", "flash-busy", {"after": 8}, "time"),
    Trial("flash", "probe-drop", {"after": 9}, _LOST),
    Trial("flash", "probe-drop", {"after": 9, "lasts": "while", "ms": 300}, _LOST),
    Trial("connect", "probe-slow", {"ms": 1}),
    Trial("connect", "probe-refuse", {"times": 1}, "the probe cannot be opened"),
    Trial("time", "core-hang", {}, _DEAD),
    Trial("time", "core-lockup", {}, _DEAD),
    Trial("cold", "uart-lose", {"chance": 0.0005}, _NOISY),
    Trial("cold", "uart-repeat", {"chance": 0.0005}, _NOISY),
    Trial("cold", "uart-flip", {"chance": 0.0005}, _NOISY),
    Trial("cold", "uart-delay", {"every": 200, "ms": 30}),
    Trial("connect", "clock-drift", {"percent": 2.0}, "its clock measures .* 2.0 % off"),
    Trial("connect", "clock-source", {}),
    Trial("connect", "clock-source", {"lost": "pll"}, "its clock recipe failed"),
    Trial("flash", "brown-out", {"after": 1, "count": "erases"}, _DEAD),
    Trial("time", "brown-out", {}, f"it refused|{_DEAD}"),
    Trial("flash", "power-cut", {"after": 7, "off_ms": 200}, _DEAD),
    Trial("flash", "power-cut", {"after": 1, "count": "erases", "off_ms": 200}, _DEAD),
    Trial("flash", "daemon-kill", {"after": 9}, _KILLED),
    Trial("time", "daemon-kill", {}, _KILLED),
)
assert {trial.kind for trial in TRIALS} == set(KINDS)
CAUSES: Mapping[str, str] = {
    kind: "|".join(trial.says or "(?!)" for trial in TRIALS if trial.kind == kind) for kind in KINDS
}
"""What a failure may say after a fault of each kind, whenever it struck."""


class Chaos:
    """Every second job of a soak meets a fault; the seeds follow from the jobs' order."""

    def __init__(self, boards: tuple[Board, ...]) -> None:
        self._boards = {board.id: board for board in boards}
        self._turns = dict.fromkeys(self._boards, 0)
        self._given = 0  # faults so far
        self._planned: dict[str, tuple[Trial, Fault]] = {}  # by board
        self._begun: set[str] = set()  # boards whose fault has struck in this job
        self._lock = threading.Lock()
        self.struck: dict[str, int] = dict.fromkeys((t.kind for t in TRIALS), 0)
        self.untrue: list[str] = []

    def plan(self, board: Board) -> None:
        """Choose what the next job of the board meets: a fault, or nothing after one."""
        with self._lock:
            self._planned.pop(board.id, None)
            self._turns[board.id] += 1
            if self._turns[board.id] % 2:
                trial = TRIALS[self._given % len(TRIALS)]
                self._planned[board.id] = trial, fault(trial.kind, self._given, **trial.values)
                self._given += 1

    def on_event(self, event: Event) -> None:
        """Begin a fault in its stage, once; judge what an attempt that failed has said."""
        planned = self._planned.get(event.board)
        if event.kind == "retried":
            self._judge(event.board, event.detail)
        if planned is None or (event.kind, event.detail) != ("stage", planned[0].stage):
            return
        if self._is_first(event.board):
            with contextlib.suppress(BenchError):  # the board is not up: nothing to be hit
                inject(self._boards[event.board], planned[1])
                self.struck[planned[0].kind] += 1

    def ended(self, board: Board, job: Job, error: Exception | None) -> None:
        """Judge the end of a job, and make the board sound again."""
        if error is not None:
            self._judge(board.id, f"{job.name}: {error}")
        with self._lock:
            self._begun.discard(board.id)
        found = rack.find(board.probe_uid)
        if found is not None and found.alive:
            with contextlib.suppress(BenchError):
                clear(board)
                rack.power(board, "cycle" if found.faults else "on")

    def _is_first(self, board: str) -> bool:
        with self._lock:
            first = board not in self._begun
            self._begun.add(board)
        return first

    def _judge(self, board: str, said: str) -> None:
        planned = self._planned.get(board)
        if planned is None or not planned[0].says or not re.search(planned[0].says, said):
            self.untrue.append(f"{board}: {planned[1] if planned else 'no fault'}: {said}")
