"""What is printed when nothing can be printed: one line of error, and the right exit code."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full device")
def test_a_full_disk_behind_standard_output_is_one_line_of_error(rack):
    command = (sys.executable, "-m", "farm.cli", "boards", "check", "--json")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*command, "--boards-file", str(rack.path)],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 70
    said = "standard output or a file could not be written: the disk is full; make room"
    assert done.stderr == f"tinyrack: {said}\n"
