"""The process that cuts a board's power and gives it back, whatever ends the one that wants it.

python -m farm.ladder.power_cycle JSON: the programs `off` and `on`, the seconds to wait behind each
(`off_s`) and to wait for each (`switch_s`), and `fd`, the open and locked file that says for as
long as it is not empty that the power may be off. One line of JSON tells what went wrong, if
anything did.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

_TRIES = 3  # of giving it back


def main(given: str) -> None:
    """Off, wait, on, wait; then the file is emptied, and its lock goes with this process."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    order = json.loads(given)
    failed = switched(order["off"], order["switch_s"])
    time.sleep(order["off_s"])
    for _ in range(_TRIES):
        not_on = switched(order["on"], order["switch_s"] / _TRIES)
        if not not_on:
            os.ftruncate(order["fd"], 0)
            break
    time.sleep(order["off_s"])
    with contextlib.suppress(OSError):  # nobody may be there to read it
        os.write(1, json.dumps({"failed": failed or not_on}).encode() + b"\n")


def switched(command: Sequence[str], limit_s: float) -> str:
    """Run a switch; what went wrong, or nothing."""
    what = " ".join(command)
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=limit_s, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"its power switch `{what}` failed: {error}"
    if done.returncode:
        said = (done.stderr or done.stdout).decode(errors="replace").strip()[-200:]
        return f"its power switch `{what}` failed ({done.returncode}): {said}"
    return ""


if __name__ == "__main__":
    main(sys.argv[1])
