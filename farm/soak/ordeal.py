"""An ordeal: lives of a manager one after the other, their workers and themselves killed."""

from __future__ import annotations

import contextlib
import math
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from farm.errors import FarmError
from farm.inventory import Rack
from farm.manager import BoardManager
from farm.quarantine import quarantine_reason, restore
from farm.soak.census import Folders, pids
from farm.soak.ordeal_work import Ordeal, given
from farm.soak.strikes import MANAGER_KILL, WORKER_KILL, Log, Struck, mend
from farm.store import Store
from farm.virtual import rack as virtual_rack

_POLL_S = 0.2
_DOCTOR_S = 3.0  # how often somebody looks for quarantined boards
_ROLL_CALL_S = 120.0
_MOST_LIVES = 10_000


@dataclass(frozen=True)
class Violence:
    """Mean seconds between two kills, of a worker and of the manager, and when to give up.

    `most` bounds the kills of either, so that a short ordeal ends on a busy host too.
    """

    worker_s: float = 20.0
    manager_s: float = 90.0
    seconds: float = 3600.0
    most: int = 10**6


@dataclass(frozen=True)
class End:
    """What happened: lives, restored boards, and boards that did not answer at the end."""

    lives: int
    restored: int
    seconds: float
    finished: bool
    mute: tuple[str, ...]


def endure(
    ordeal: Ordeal, rack: Rack, folders: Folders, violence: Violence, say: Callable[[str], None]
) -> End:
    """Bring the rack up, run every life, call the roll, take the rack down."""
    path = folders.state / "ordeal.json"
    ordeal.save(path)
    started_s = time.monotonic()
    try:
        virtual_rack.up(rack.boards, timeout_s=120.0)
        keeper = _Keeper(ordeal, rack, folders, violence)
        keeper.first(path, started_s + violence.seconds)
        say(f"ordeal: what {ordeal.networks} networks cost is known")
        began_s = time.monotonic()
        lives, finished = keeper.run(path, began_s + violence.seconds, say)
        seconds = time.monotonic() - began_s
        return End(lives, keeper.restored, seconds, finished, tuple(_mute(rack, ordeal)))
    finally:
        virtual_rack.down()
        say(f"ordeal: over after {time.monotonic() - started_s:.0f} s")


class _Keeper:
    """Starts lives and ends some of them; restores boards as a person would."""

    def __init__(self, ordeal: Ordeal, rack: Rack, folders: Folders, violence: Violence) -> None:
        self._log, self._rack, self._folders = Log(Path(ordeal.log)), rack, folders
        self._violence = violence
        self._random = random.Random(ordeal.seed)
        self._killed = 0  # workers
        self.restored = 0

    def first(self, path: Path, ends_at: float) -> None:
        """The life that finds out what the networks cost; nothing is killed."""
        with _life(path, 0) as life:
            code = self._watch(life, 0, ends_at, math.inf)
        if code != 0:
            said = path.with_name("life-0000.log").read_text(errors="replace")[-1000:]
            raise FarmError(f"the first life did not find out what the networks cost: {said}")

    def run(self, path: Path, ends_at: float, say: Callable[[str], None]) -> tuple[int, bool]:
        """Life after life until one has finished, or time is over: how many, and whether."""
        for number in range(1, _MOST_LIVES):
            with _life(path, number) as life:
                mercy = 1.0 if number <= self._violence.most else math.inf
                code = self._watch(life, number, ends_at, mercy)
            if code == 0 or time.monotonic() >= ends_at:
                return number, code == 0
            say(f"ordeal: life {number} ended ({code})")
        return _MOST_LIVES, False

    def _watch(
        self, life: subprocess.Popen[bytes], number: int, ends_at: float, mercy: float
    ) -> int:
        now_s = time.monotonic()
        dies_s = min(ends_at, now_s + self._after_s(self._violence.manager_s) * mercy)
        kills_s = now_s + self._after_s(self._violence.worker_s) * mercy
        looks_s = now_s + _DOCTOR_S
        while life.poll() is None and (now_s := time.monotonic()) < dies_s:
            if now_s >= kills_s:
                self._kill_worker(number)
                kills_s = now_s + self._after_s(self._violence.worker_s)
            if now_s >= looks_s:
                self.heal()
                looks_s = now_s + _DOCTOR_S
            time.sleep(_POLL_S)  # the deadlines are above
        if life.poll() is None:
            self._log.add(Struck(MANAGER_KILL, number, pid=life.pid))
            life.kill()
        return life.wait()

    def heal(self) -> None:
        """Put quarantined boards back into service."""
        for board in self._rack.boards:
            if quarantine_reason(board) is not None:
                mend(board)
                restore(board)
                self.restored += 1

    def _after_s(self, mean_s: float) -> float:
        return self._random.uniform(0.5, 1.5) * mean_s

    def _kill_worker(self, number: int) -> None:
        found = sorted(pids(self._folders, "worker"))
        if found and self._killed < self._violence.most:
            self._killed += 1
            pid = self._random.choice(found)
            self._log.add(Struck(WORKER_KILL, number, pid=pid))
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@contextmanager
def _life(path: Path, number: int) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-P", "-m", "farm.soak.life", str(path), str(number)]
    log = path.with_name(f"life-{number:04}.log")
    with log.open("wb") as errors:
        life = subprocess.Popen(command, stdout=errors, stderr=errors)
    try:
        yield life
    finally:
        life.kill()
        life.wait()


def _mute(rack: Rack, ordeal: Ordeal) -> Iterator[str]:
    """Boards that are not free, or do not measure, when all is over and each was looked after."""
    work = given(1)[0]
    for board in rack.boards:
        mend(board)
        restore(board)
    with Store() as store, BoardManager(rack, rack.boards, store, retries=0) as manager:
        asked = [(b, manager.submit(work.job("", b.type.name), on=b.id)) for b in rack.boards]
        for board, future in asked:
            try:
                answered = future.result(_ROLL_CALL_S).board == board.id
            except (FarmError, TimeoutError) as error:
                answered = False
                Log(Path(ordeal.log)).add(Struck("mute", 0, board=board.id, job=str(error)))
            if not answered:
                yield board.id
