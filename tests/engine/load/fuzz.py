"""Spoil .tflite files and import each one: the answer must be a Graph or an EngineError.

Any other exception, more than 2 s of CPU, more than 512 MiB, or a dead process is a failure; its
file is kept. File NUMBER of SEED is always the same, whatever the count and the workers.
"""

import argparse
import collections
import functools
import multiprocessing
import os
import re
import resource
import signal
import sys
import time
import traceback
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path

from mutations import Seed, mutated

from engine.errors import EngineError
from engine.load.tflite import parse_tflite

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
CORPUS = [HERE / "corpus", ROOT.parent / "shared" / "models"]
LIMIT_S = 2.0
LIMIT_BYTES = 512 << 20
CHUNK = 500
MAX_SHOWN = 30  # outcomes in the figures


class TooSlowError(BaseException):
    """An import that passed LIMIT_S of CPU time; nothing in between may catch it."""


@dataclass
class Figures:
    """What a number of files came to."""

    outcomes: collections.Counter = field(default_factory=collections.Counter)
    slowest_s: float = 0.0
    slowest: int = -1
    peak_bytes: int = 0
    failures: list = field(default_factory=list)  # (number, why)

    def add(self, other):
        self.outcomes += other.outcomes
        self.failures += other.failures
        self.peak_bytes = max(self.peak_bytes, other.peak_bytes)
        if other.slowest_s > self.slowest_s:
            self.slowest_s, self.slowest = other.slowest_s, other.slowest

    def __str__(self):
        common = self.outcomes.most_common(MAX_SHOWN)
        rare = sum(self.outcomes.values()) - sum(count for _, count in common)
        lines = [f"{count:8} {name}" for name, count in common]
        lines.append(f"{rare:8} in {max(len(self.outcomes) - MAX_SHOWN, 0)} more ways")
        lines.append(f"{sum(self.outcomes.values()):8} files, {len(self.failures)} failures")
        lines.append(f"slowest {self.slowest_s:.3f} s of CPU (file {self.slowest})")
        lines.append(f"peak memory of a process {self.peak_bytes / 2**20:.0f} MiB")
        return "\n".join([*lines, *(f"FAILURE file {n}: {why}" for n, why in self.failures)])


class Verdict:
    """Names what leaves the block: an EngineError by its words, anything else as a failure.

    A block that takes far too much CPU time is left as well, by TooSlowError.
    """

    def __init__(self):
        self.outcome, self.failure, self.taken_s = "Graph", "", 0.0

    def __enter__(self):
        signal.setitimer(signal.ITIMER_PROF, 2 * LIMIT_S)
        self.start_s = time.process_time()
        return self

    def __exit__(self, kind, error, trace):
        self.taken_s = time.process_time() - self.start_s
        signal.setitimer(signal.ITIMER_PROF, 0)
        if self.taken_s > LIMIT_S:
            self.failure = f"{self.taken_s:.1f} s"
        if isinstance(error, EngineError):
            self.outcome = f"{kind.__name__}: {family(str(error))}"
        elif isinstance(error, (KeyboardInterrupt, SystemExit)):
            return False
        elif error is not None:
            self.outcome = f"FAILURE: {kind.__name__}"
            self.failure = "".join(traceback.format_exception(kind, error, trace))[-2000:]
        return True


def family(message):
    """A message without its names and numbers."""
    plain = re.sub(r"'[^']*'|\"[^\"]*\"|\([^)]*\)|\[[^\]]*\]", "_", message)
    return re.sub(r"-?\b\d[\d.e+-]*", "#", plain).split(";")[0][:100]


def read_seeds(folders):
    """The sound files of all folders that are there, by name."""
    paths = [path for folder in folders for path in sorted(folder.glob("*.tflite"))]
    return [Seed(path.name, path.read_bytes()) for path in paths]


def try_numbers(folders, seed, numbers):
    """Import those files one after another in this process, a worker."""
    seeds, figures = worker_seeds(tuple(folders)), Figures()
    for number in numbers:
        _name, data = mutated(seeds, seed, number)
        with Verdict() as verdict:
            parse_tflite(data, "fuzz")
        figures.outcomes[verdict.outcome] += 1
        if verdict.taken_s > figures.slowest_s:
            figures.slowest_s, figures.slowest = verdict.taken_s, number
        if verdict.failure:
            figures.failures.append((number, verdict.failure))
    figures.peak_bytes = peak_bytes()
    if figures.peak_bytes > LIMIT_BYTES:
        figures.failures.append((numbers[-1], f"{figures.peak_bytes} bytes, at or before it"))
    return figures


@functools.cache
def worker_seeds(folders):
    """The seeds, read once a process."""
    return read_seeds(folders)


def peak_bytes():
    """The largest resident size that this process ever had.

    On Linux by its own memory map: what getrusage tells begins with the peak of the parent.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        lines = status.read_text().splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def guard_process():
    """Give a worker bounded memory, and a CPU timer for what would hang."""
    os.nice(10)
    room = LIMIT_BYTES - min(peak_bytes(), LIMIT_BYTES // 2)
    statm = Path("/proc/self/statm")
    if statm.is_file():
        mapped = int(statm.read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (mapped + room, mapped + room))
    signal.signal(signal.SIGPROF, too_slow)


def too_slow(_signal, _frame):
    """Leave what runs: the handler of the CPU timer."""
    raise TooSlowError(f"more than {2 * LIMIT_S} s")


def fuzz(folders, seed, numbers, workers, say):
    """Import all files in worker processes; `say` gets a line of progress a chunk."""
    total, chunks = Figures(), [numbers[i : i + CHUNK] for i in range(0, len(numbers), CHUNK)]
    context = multiprocessing.get_context("spawn")
    done = 0
    with ProcessPoolExecutor(workers, context, initializer=guard_process) as pool:
        waiting = {pool.submit(try_numbers, folders, seed, chunk): chunk for chunk in chunks}
        for future in as_completed(waiting):
            chunk = waiting[future]
            done += len(chunk)
            try:
                total.add(future.result())
            except BrokenProcessPool:
                total.failures.append((chunk[0], f"a process died within {chunk}"))
            say(f"{done} of {len(numbers)}, {len(total.failures)} failures")
    return total


def keep(folders, seed, failures, out):
    """Write the files that failed."""
    seeds = read_seeds(folders)
    for number, _why in failures:
        out.mkdir(parents=True, exist_ok=True)
        name, data = mutated(seeds, seed, number)
        (out / f"{seed}-{number}-{name}").write_bytes(data)


def main(arguments=None):
    """The exit code: 0 when no file failed."""
    options = parse_arguments(arguments)
    numbers = range(options.first, options.first + options.count)
    folders = [folder for folder in options.corpus or CORPUS if folder.is_dir()]
    figures = fuzz(
        folders, options.seed, numbers, options.workers, lambda line: sys.stderr.write(line + "\n")
    )
    keep(folders, options.seed, figures.failures, options.failures)
    sys.stdout.write(f"{figures}\n")
    return 1 if figures.failures else 0


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000, help="files to try")
    parser.add_argument("--first", type=int, default=0, help="number of the first file")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--corpus", type=Path, action="append", help="folder of sound files")
    parser.add_argument("--failures", type=Path, default=Path("fuzz-failures"))
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
