"""An ordeal: lives of a manager one after the other, their workers and themselves killed."""

from __future__ import annotations

import contextlib
import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from farm.errors import FarmError
from farm.leases.quarantine import quarantine_reason, restore
from farm.manager import BoardManager
from farm.rack.inventory import Rack
from farm.soak.census import Folders, pids
from farm.soak.life import Ended
from farm.soak.ordeal_work import Ordeal, expecting, given
from farm.soak.strikes import MANAGER_KILL, WORKER_KILL, Log, Struck, mend
from farm.virtual import rack as virtual_rack

_POLL_S = 0.2
_DOCTOR_S = 3.0  # how often somebody looks for quarantined boards
_SAY_S = 60.0  # how often it is said how far it has come
_ROLL_CALL_S = 300.0  # of three attempts at most
_MOST_LIVES = 10_000


@dataclass(frozen=True)
class Violence:
    """Mean seconds between two kills, of a worker and of the manager, and when to give up.

    `most` bounds the kills of either, so that a short ordeal ends on a busy host too.
    """

    worker_s: float = 20.0
    manager_s: float = 150.0
    seconds: float = 3600.0
    most: int = 10**6


@dataclass(frozen=True)
class End:
    """What happened: lives, restored boards, and boards that did not answer at the end.

    over: whether the roll has been called; a file of one that is not is of a session that was cut
    off, or still goes on.
    """

    lives: int = 0
    restored: int = 0
    seconds: float = 0.0
    finished: bool = False
    over: bool = False
    mute: tuple[str, ...] = ()

    def save(self, folder: Path) -> None:
        """Write it for `load`, whole or not at all."""
        part = folder / "end.part"
        part.write_text(json.dumps(asdict(self)), encoding="utf-8")
        part.replace(folder / "end.json")

    @classmethod
    def load(cls, folder: Path) -> End:
        """What was saved last; nothing happened if nothing was."""
        path = folder / "end.json"
        kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        return cls(**(kept | {"mute": tuple(kept.get("mute", ()))}))


def endure(
    ordeal: Ordeal, rack: Rack, folders: Folders, violence: Violence, say: Callable[[str], None]
) -> End:
    """Bring the rack up, see what is right, run every life, call the roll, take the rack down.

    The judge of the first and the last part is a manager of its own, whom nobody harms. SIGINT
    ends it early, and without a roll-call; what was reached is returned all the same.
    """
    path = folders.state / "ordeal.json"
    ordeal.save(path)
    started_s = time.monotonic()
    keeper = _Keeper(ordeal, rack, folders, violence, say)
    try:
        virtual_rack.up(rack.boards, timeout_s=120.0)
        with BoardManager(rack, rack.boards) as judge:
            judge.measure(expecting(rack, given(ordeal.networks)))
            say(f"ordeal: what {ordeal.networks} networks cost is known")
            keeper.run(path, violence.seconds)
            return keeper.end(over=True, mute=tuple(_mute(judge, ordeal)))
    except KeyboardInterrupt:
        say("ordeal: interrupted")
        return keeper.end(over=False)
    finally:
        virtual_rack.down()
        say(f"ordeal: over after {time.monotonic() - started_s:.0f} s")


class _Keeper:
    """Starts lives and ends some of them; restores boards as a person would."""

    def __init__(
        self,
        ordeal: Ordeal,
        rack: Rack,
        folders: Folders,
        violence: Violence,
        say: Callable[[str], None],
    ) -> None:
        self._log, self._rack, self._folders = Log(Path(ordeal.log)), rack, folders
        self._ended, self._jobs = Ended(Path(ordeal.log)), ordeal.jobs
        self._violence, self._say = violence, say
        self._random = random.Random(ordeal.seed)
        self._killed = 0  # workers
        self._lives, self._restored = 0, 0
        self._finished = False
        self._began_s = self._seconds = 0.0

    def run(self, path: Path, seconds: float) -> None:
        """Life after life until one has finished, or time is over."""
        self._began_s = time.monotonic()
        ends_at = self._began_s + seconds
        while not self._finished and self._lives < _MOST_LIVES and time.monotonic() < ends_at:
            self._lives += 1
            with _life(path, self._lives) as life:
                mercy = 1.0 if self._lives <= self._violence.most else math.inf
                code = self._watch(life, self._lives, ends_at, mercy)
            self._finished = code == 0
            self._say(f"ordeal: life {self._lives} ended ({code})")
        self._seconds = time.monotonic() - self._began_s

    def end(self, *, over: bool, mute: tuple[str, ...] = ()) -> End:
        """What has happened so far; kept for who audits it again."""
        seconds = self._seconds or (self._began_s and time.monotonic() - self._began_s)
        end = End(self._lives, self._restored, seconds, self._finished, over, mute)
        end.save(self._folders.state)
        return end

    def _report(self) -> None:
        """Say how far it has come, and when it may end."""
        done, seconds = len(self._ended.ids()), self.end(over=False).seconds
        rate = done / max(1.0, seconds)
        left = f"{(self._jobs - done) / rate / 60:.0f} min left" if rate else "no end in sight"
        self._say(
            f"ordeal: {seconds / 60:.0f} min, life {self._lives}, {done} of {self._jobs} jobs, "
            f"{rate * 60:.0f} a minute, {left}"
        )

    def _watch(
        self, life: subprocess.Popen[bytes], number: int, ends_at: float, mercy: float
    ) -> int:
        now_s = time.monotonic()
        dies_s = min(ends_at, now_s + self._after_s(self._violence.manager_s) * mercy)
        kills_s = now_s + self._after_s(self._violence.worker_s) * mercy
        looks_s, says_s = now_s + _DOCTOR_S, now_s + _SAY_S
        while life.poll() is None and (now_s := time.monotonic()) < dies_s:
            if now_s >= kills_s:
                self._kill_worker(life.pid, number)
                kills_s = now_s + self._after_s(self._violence.worker_s)
            if now_s >= looks_s:
                self.heal()
                looks_s = now_s + _DOCTOR_S
            if now_s >= says_s:
                self._report()
                says_s = now_s + _SAY_S
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
                self._restored += 1

    def _after_s(self, mean_s: float) -> float:
        return self._random.uniform(0.5, 1.5) * mean_s

    def _kill_worker(self, manager: int, number: int) -> None:
        found = sorted(pids(self._folders, "worker", of=manager))
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


def _mute(judge: BoardManager, ordeal: Ordeal) -> Iterator[str]:
    """Boards that are not free, or do not measure, when all is over and each was looked after."""
    work = given(1)[0]
    for board in judge.boards:
        mend(board)
        restore(board)
    asked = [(b, judge.submit(work.job("", b.type.name), on=b.id)) for b in judge.boards]
    for board, future in asked:
        try:
            answered = future.result(_ROLL_CALL_S).board == board.id
        except (FarmError, TimeoutError) as error:
            answered = False
            why = str(error) or f"no answer in {_ROLL_CALL_S:.0f} s"
            Log(Path(ordeal.log)).add(Struck("mute", 0, board=board.id, job=why))
        if not answered:
            yield board.id
