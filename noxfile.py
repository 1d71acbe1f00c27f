"""Everything that can be run: `nox -l` lists it. All sessions share one environment, `.venv`."""

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nox

nox.needs_version = ">=2024.10"
nox.options.sessions = ["tests", "lint", "types"]
nox.options.default_venv_backend = "none"  # one environment for all of them, made by prepare()

ROOT = Path(__file__).parent
ENVIRONMENT = ROOT / ".venv"
BIN = ENVIRONMENT / ("Scripts" if os.name == "nt" else "bin")
STAMP = ENVIRONMENT / "installed.sha256"
QEMU_PACKAGE = "qemu-system-arm"


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests that need no board."""
    run(session, "python", "-m", "pytest", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and formatting."""
    run(session, "python", "-m", "ruff", "check", *session.posargs, ".")
    run(session, "python", "-m", "ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check types, strictly."""
    run(session, "python", "-m", "mypy", *session.posargs)


@nox.session(default=False)
def hil(session: nox.Session) -> None:
    """Run the hardware-in-the-loop suite on the boards of boards.yaml."""
    with rack(session):
        arguments = session.posargs or ["--boards", "all"]
        run(session, "python", "-m", "pytest", "hil_tests", *arguments)


@nox.session(default=False)
def calibrate(session: nox.Session) -> None:
    """Fit the latency model of each board type and print its held-out error."""
    with rack(session):
        run(session, "tinyrack", "calibrate", *(session.posargs or ["--boards", "all"]))


@nox.session(default=False)
def prices(session: nox.Session) -> None:
    """Measure what each kernel costs in cycles and code: engine/prices.jsonl, for the modes."""
    with rack(session):
        run(session, "python", "-m", "nas.prices", *session.posargs)


@nox.session(default=False)
def search(session: nox.Session) -> None:
    """Search a network for the rack, measure it and export it as a C library."""
    with rack(session):
        run(session, "tinyrack", "search", *session.posargs)


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Record what networks and kernels cost: [record OPTIONS]; else what `tinyrack bench` takes."""
    with rack(session):
        if session.posargs[:1] in ([], ["record"]):
            run(session, "python", "-m", "farm.benchmark", *session.posargs[1:])
        else:
            run(session, "tinyrack", "bench", *session.posargs)


@nox.session(default=False)
def contest(session: nox.Session) -> None:
    """Let 8 processes take 10,000 leases of one board, kill 50 holders; pytest -n 4: no double."""
    run(session, "python", "tests/farm/lease_contest.py", *session.posargs)
    run(session, "python", "tests/farm/xdist_contest.py")


@nox.session(default=False)
def fuzz(session: nox.Session) -> None:
    """Import 100,000 spoiled .tflite files: each must end in a Graph or in one clear error."""
    run(session, "python", "tests/engine/load/fuzz.py", *session.posargs)


@nox.session(default=False)
def soak(session: nox.Session) -> None:
    """Use 24 virtual boards for 30 minutes (--minutes, --boards) and look for leaks."""
    run(session, "python", "-m", "farm.soak", *session.posargs)


@nox.session(default=False)
def ordeal(session: nox.Session) -> None:
    """Measure 10,000 jobs (--jobs) while boards fail and workers and managers are killed."""
    run(session, "python", "-m", "farm.soak.ordeal_session", *session.posargs)


@nox.session(default=False)
def farm(session: nox.Session) -> None:
    """Schedule jobs over 1 to 1,000 simulated boards: what the manager itself costs."""
    run(session, "python", "-m", "farm.simulation", *session.posargs)


@nox.session(default=False)
def crash(session: nox.Session) -> None:
    """Kill 500 writers of the results database at random points (--kills, --store): no row lost."""
    run(session, "python", "-m", "farm.store.crash", *session.posargs)


@nox.session(default=False)
def emulation(session: nox.Session) -> None:
    """Measure what virtual boards cost: connect, flash, compute, idle (--networks, --json)."""
    run(session, "python", "-m", "farm.emulation", *session.posargs)


@nox.session(default=False)
def rtos(session: nox.Session) -> None:
    """Switch the tasks of a small real-time system for a million ticks, on an M4 and an M7."""
    program = "tests/virtual/machine/rtos_million.py"
    run(session, "python", "-m", "pytest", "-s", program, *session.posargs)


@nox.session(default=False)
def qemu(session: nox.Session) -> None:
    """Count instructions by QEMU and by the virtual boards, which must agree to the instruction."""
    if shutil.which("qemu-system-arm") is None and shutil.which("apt-get") and os.geteuid() == 0:
        for arguments in (("update",), ("install", "-y", "--no-install-recommends", QEMU_PACKAGE)):
            command = ("apt-get", "-q", *arguments)
            session.run(*command, external=True, silent=True, success_codes=range(256))
    if shutil.which("qemu-system-arm") is None:
        session.skip(f"no QEMU here: as root, `apt-get install {QEMU_PACKAGE}`")
    run(session, "python", "tests/virtual/qemu/run.py", *session.posargs)


@nox.session(default=False)
def timing(session: nox.Session) -> None:
    """Put the virtual boards' cycles beside published silicon, into docs/timing-figures.md."""
    with rack(session):
        run(session, "python", "-m", "tests.virtual.workloads.figures", *session.posargs)


def run(session: nox.Session, program: str, *arguments: str) -> None:
    """Run `program` of the shared environment, which is made or brought up to date first."""
    prepare(session)
    session.run(str(BIN / program), *arguments, external=True)


def prepare(session: nox.Session) -> None:
    """Install the pinned set into the shared environment, unless it already holds it."""
    if STAMP.is_file() and STAMP.read_text() == fingerprint():
        return
    session.log("setting up .venv: about 2 GB and one or two minutes, once")
    python = str(BIN / "python")
    session.run(sys.executable, "-m", "virtualenv", "--quiet", str(ENVIRONMENT), external=True)
    session.run(
        *(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
        *("--constraint", "constraints.txt", "--editable", ".[nas,dev]"),
        external=True,
    )
    STAMP.write_text(fingerprint())


def fingerprint() -> str:
    """Return the hash of all that decides what the environment holds."""
    sources = [ROOT / "pyproject.toml", ROOT / "constraints.txt"]
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()


@contextmanager
def rack(session: nox.Session) -> Iterator[None]:
    """Leave the virtual rack as it was found: what a session starts on demand, it takes down."""
    prepare(session)
    found = boards_up(session)
    try:
        yield
    finally:
        started = boards_up(session) - found
        if started:
            down = ("rack", "down", "--force", "--boards", ",".join(sorted(started)))
            run(session, "tinyrack", *down)


def boards_up(session: nox.Session) -> set[str]:
    """Return the ids of the virtual boards that run."""
    command = (str(BIN / "tinyrack"), "rack", "status", "--json")
    status = session.run(*command, external=True, silent=True, log=False)
    return {board["board"] for board in json.loads(str(status))["results"] if board["alive"]}
