"""The ladder of recovery: what is tried, rung by rung, while a board goes on failing.

A worker climbs one rung when its manager asks for it, after each failure in a row one higher.
When the last rung did not help either, the board is quarantined.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from farm.golden.check import check
from farm.ladder import power, usb_reset
from farm.ladder.slow_wires import KEPT, keep_slow, slower
from farm.mcus import load_mcu
from farm.probe import open_probe
from farm.rack.inventory import Board


def never(board: Board) -> bool:
    """`brings_probe_back` of a rung that needs the probe."""
    del board
    return False


def switchable(board: Board) -> bool:
    """Whether boards.yaml says what switches the board's power, and maybe its probe's."""
    return board.power is not None


@dataclass(frozen=True)
class Rung:
    """One thing to try; `act` returns a word on what it did, within the seconds that it is given.

    It raises BenchError when it could not be done. `deadline_s` is what it may take at most.
    `brings_probe_back`: whether it is worth climbing for a probe that is not there.
    """

    name: str
    act: Callable[[Board, float], str]
    deadline_s: float
    brings_probe_back: Callable[[Board], bool] = never


def reopen(board: Board, _left_s: float) -> str:
    """Connect in a fresh process, as the board is used to."""
    return _connected(board)


def under_reset(board: Board, _left_s: float) -> str:
    """Connect while the reset line is held: gets at cores that sleep, fault or reset themselves."""
    return _connected(replace(board, connect_mode="under-reset"))


def slow_wires(board: Board, _left_s: float) -> str:
    """Connect with a slow debug clock, which is kept: the jobs that follow show if it helps."""
    done = f"{_connected(slower(board))} at {slower(board).swd_hz // 1000} kHz"
    keep_slow(board)
    return f"{done}, kept for {KEPT.total_seconds() / 3600:.0f} h"


def mass_erase(board: Board, _left_s: float) -> str:
    """Erase the whole flash: what runs there may keep the debugger out."""
    with open_probe(slower(board), load_mcu(board.type.mcu)) as probe:
        probe.mass_erase()
    return "erased"


def golden_image(board: Board, left_s: float) -> str:
    """Run the golden image, which shows whether it is the board or what it was given."""
    return check(slower(board), left_s)


def _connected(board: Board) -> str:
    with open_probe(board, load_mcu(board.type.mcu)) as probe:
        probe.reset_and_halt()
    return "connected"


RUNGS: tuple[Rung, ...] = (
    Rung("session opened again", reopen, 20.0),
    Rung("connect under reset", under_reset, 20.0),
    Rung("slower debug clock", slow_wires, 20.0),
    Rung("USB reset of the probe", usb_reset.reset, 30.0),
    Rung("power cycle", power.cycle, 60.0, switchable),
    Rung("mass erase", mass_erase, 90.0),
    Rung("golden image", golden_image, 120.0),
)
"""From what costs least to what costs most; see docs/operators.md."""
NO_RUNGS: tuple[Rung, ...] = ()
