"""pytest -n 4 with every way of giving out tests: no two processes ever have one board.

python tests/farm/xdist_contest.py [--dist worksteal]
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
WAYS = ("load", "worksteal", "each", "loadscope", "loadfile", "loadgroup")
PROCESSES, TESTS, ANSWER_S = 4, 17, 300.0
CONFTEST = "import farm.plugin.boards as b\nb.DEFAULT_RUNNER = 'scripted:run'\n"
SUITE = '''
import os
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from toy_network import network

@contextmanager
def inside(boards):
    """A mark for each board, which fails where somebody else's is."""
    marks = [Path("in-" + board.id) for board in boards]
    for mark in marks:
        mark.touch(exist_ok=False)
    yield
    for mark in marks:
        mark.unlink()

@pytest.mark.parametrize("number", range(6))
@pytest.mark.board("type=nucleo-f412zg")
def test_one(board, number):
    with inside([board]):
        time.sleep(0.05)

@pytest.mark.parametrize("number", range(3))
@pytest.mark.board(each="type", count=2)
def test_two(boards, number):
    with inside(boards):
        time.sleep(0.1)

@pytest.mark.board(each=True)
def test_measured(board, measure):
    with inside([board]):
        for name in ("slow", "ok"):
            m = measure(network(name), repeats=2)
            assert (m.status, m.board) == ("ok", board.id)

def test_through_the_farm(measure):
    assert measure(network("other")).status == "ok"
'''


def passed(folder: Path, way: str) -> int:
    """How many tests passed, 0 when one did not."""
    command = (
        *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_suite.py"),
        *("-n", str(PROCESSES), "--dist", way),
        *("--boards", "all", f"--boards-file={ROOT / 'boards.yaml'}"),
    )
    path = os.pathsep.join((str(HERE), str(ROOT), os.environ.get("PYTHONPATH", "")))
    environment = os.environ | {"XDG_STATE_HOME": str(folder / "state"), "PYTHONPATH": path}
    ran = subprocess.run(
        command, cwd=folder, env=environment, timeout=ANSWER_S, check=False,
        capture_output=True, text=True,
    )  # fmt: skip
    if ran.returncode:
        sys.stdout.write(ran.stdout)
        return 0
    return int(re.findall(r"(\d+) passed", ran.stdout)[-1])


def main() -> int:
    """Run the suite in each way; 1 when a test of it failed or did not run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dist", choices=WAYS, action="append")
    wrong = 0
    for way in parser.parse_args().dist or WAYS:
        wanted = TESTS * PROCESSES if way == "each" else TESTS
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "conftest.py").write_text(CONFTEST)
            (Path(folder) / "test_suite.py").write_text(SUITE)
            found = passed(Path(folder), way)
        wrong += found != wanted
        sys.stdout.write(f"-n {PROCESSES} --dist {way}: {found} of {wanted} tests passed\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
