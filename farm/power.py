"""The power of a board, cut and given back: a hub's port, programs of the lab, a daemon."""

import shutil
import subprocess
import time

from farm.board import Board, PowerSpec
from farm.errors import BenchError
from farm.virtual import rack

OFF_S = 2.0
"""How long a real board stays without power: its capacitors keep a core alive for a while."""
_SWITCH_S = 20.0


def cycle(board: Board, deadline_s: float = 60.0) -> str:
    """Cut the power of a board and give it back; what was done, in a word.

    BenchError when boards.yaml names no switch for it, or the switch does not work.
    """
    if board.virtual:
        rack.power(board, "cycle")
        return "its daemon"
    if board.power is None:
        raise BenchError(
            "nothing switches its power; add `power:` to it in boards.yaml, or replug it", board.id
        )
    started_s = time.monotonic()
    for command in (_command(board, board.power, on=False), _command(board, board.power, on=True)):
        if time.monotonic() - started_s > deadline_s:
            raise BenchError(f"its power switch took more than {deadline_s:.0f} s", board.id)
        _run(board, command)
        time.sleep(OFF_S)  # once without power, once to come up again
    return " ".join(_command(board, board.power, on=True))


def _command(board: Board, power: PowerSpec, *, on: bool) -> tuple[str, ...]:
    if not power.hub:
        return power.on if on else power.off
    program = shutil.which("uhubctl")
    if program is None:
        raise BenchError("uhubctl, which switches ports of USB hubs, is not installed", board.id)
    return (program, "-l", power.hub, "-p", str(power.port), "-a", "on" if on else "off")


def _run(board: Board, command: tuple[str, ...]) -> None:
    what = " ".join(command)
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SWITCH_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BenchError(f"its power switch `{what}` failed: {error}", board.id) from error
    if done.returncode:
        said = (done.stderr or done.stdout).decode(errors="replace").strip()[-200:]
        raise BenchError(f"its power switch `{what}` failed ({done.returncode}): {said}", board.id)
