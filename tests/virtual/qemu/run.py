"""Count the instructions of every program by QEMU and by a virtual board: both must agree.

QEMU, an emulator that shares no code with this project, runs the same bytes on its MPS2 boards.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parents[1] / "engine"))  # for the networks of the engine's tests

from bare_counts import QEMU, by_board, by_qemu  # noqa: E402
from bare_programs import CORES, PROGRAMS, built  # noqa: E402

ROW = "{:<17}{:<11}{:>12}{:>12}{:>12}  {}\n"


def main() -> int:
    """0 when all agree, 1 when one does not, 2 without QEMU."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("programs", nargs="*", metavar="PROGRAM", help=", ".join(PROGRAMS))
    wanted = parser.parse_args().programs or PROGRAMS
    if shutil.which(QEMU) is None:
        sys.stderr.write(f"{QEMU} is not on the path\n")
        return 2
    sys.stdout.write(ROW.format("program", "core", "QEMU", "board", "difference", "checksum"))
    return max(compare(name, core) for name in wanted for core in CORES)


def compare(name: str, core: str) -> int:
    """Print one row; 1 when the two differ."""
    program = built(name, core)
    theirs, ours = by_qemu(program), by_board(program)
    same = theirs.checksum == ours.checksum
    checksum = theirs.checksum if same else f"{theirs.checksum} {ours.checksum} DIFFER"
    more = ours.instructions - theirs.instructions
    counts = (theirs.instructions, ours.instructions, more)
    sys.stdout.write(ROW.format(name, core, *counts, checksum))
    sys.stdout.flush()
    return int(theirs != ours)


if __name__ == "__main__":
    sys.exit(main())
