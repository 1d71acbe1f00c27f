"""A job runner that does what the job's name says, with no board behind it.

Everything around it is real: the worker process, its lease, the pipes, the store.
"""

import hashlib
import os
import signal
import sys
import time

import platformdirs

from farm.errors import BenchError, FarmError, ImageError, NoBoardError, ProbeMissingError
from farm.measure import Measurement
from farm.virtual.parts import load_part


def log_path():
    return platformdirs.user_state_path("tinyrack") / "scripted.log"


def runs() -> list[tuple[str, str, int]]:
    """(job, board, pid) of every run so far, in order."""
    if not log_path().exists():
        return []
    rows = (line.split() for line in log_path().read_text().splitlines())
    return [(name, board, int(pid)) for name, board, pid in rows]


def run(board, job, deadline_s, on_stage):
    first = job.name not in [name for name, _, _ in runs()]
    with log_path().open("a") as log:
        log.write(f"{job.name} {board.id} {os.getpid()}\n")
    on_stage("flash")
    sys.stdout.write("noise on standard output\n")
    what = job.name.split("-")[0]
    if what == "slow":
        time.sleep(0.3)
    if what == "hang" or (what == "hangonce" and first):
        time.sleep(60)
    if what == "die" or (what == "dieonce" and first):
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "crash":
        raise RuntimeError("scripted crash")
    if what == "bench" or (what == "benchonce" and first):
        raise BenchError("probe gone", board.id)
    if what == "missing" or (what == "missingonce" and first):
        raise ProbeMissingError("no probe is connected", board.id)
    if what == "locked" or (what == "lockedonce" and first):
        raise FarmError("the lease database is locked")
    if what == "toolchain":
        raise ImageError("compiler failed")
    if what == "gone":
        raise NoBoardError("unplugged")
    return _result(board, job, what)


def _result(board, job, what):
    common = {
        "name": "?",
        "board": board.id,
        "board_type": board.type.name,
        "virtual": board.virtual,
    }
    if what == "toobig":
        return Measurement(status="too_big", message="does not fit", **common)
    if what == "wrong":
        return Measurement(status="wrong_output", output_sha256="0" * 64, **common)
    return Measurement(
        status="ok",
        output_ok=True,
        output_sha256="0" * 64 if what == "liar" else hashlib.sha256(job.expected).hexdigest(),
        samples=(1000,) * job.repeats,
        cycles=1000,
        cold_cycles=1100,
        layer_cycles=(1000,) * len(job.model.layers),
        clock_hz=100_000_000,
        latency_ms=0.01,
        timing_model=load_part(board.type.mcu).timing_model,
        **common,
    )
