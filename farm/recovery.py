"""The ladder of recovery: what is tried, rung by rung, while a board goes on failing.

A worker climbs one rung when its manager asks for it, after each failure in a row one higher.
When the last rung did not help either, the board is quarantined.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from farm import power, usb_reset
from farm.golden.check import check
from farm.inventory import Board
from farm.mcus import load_mcu
from farm.probe import open_probe

SLOW_SWD_HZ = 400_000


def unchanged(board: Board) -> Board:
    """`lasting` of a rung that changes nothing about how its board is used."""
    return board


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
    `lasting`: how the board is used from then on, by this worker, if the rung could be climbed.
    `brings_probe_back`: whether it is worth climbing for a probe that is not there.
    """

    name: str
    act: Callable[[Board, float], str]
    deadline_s: float
    lasting: Callable[[Board], Board] = unchanged
    brings_probe_back: Callable[[Board], bool] = never


def reopen(board: Board, _left_s: float) -> str:
    """Connect in a fresh process, as the board is used to."""
    return _connected(board)


def under_reset(board: Board, _left_s: float) -> str:
    """Connect while the reset line is held: gets at cores that sleep, fault or reset themselves."""
    return _connected(replace(board, connect_mode="under-reset"))


def slower(board: Board) -> Board:
    """The board on a tenth of the debug clock, for long or bad wires."""
    return replace(board, connect_mode="under-reset", swd_hz=min(SLOW_SWD_HZ, board.swd_hz))


def slow_wires(board: Board, _left_s: float) -> str:
    """Connect with a slow debug clock."""
    return f"{_connected(slower(board))} at {slower(board).swd_hz // 1000} kHz"


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
    Rung("slower debug clock", slow_wires, 20.0, slower),
    Rung("USB reset of the probe", usb_reset.reset, 30.0, slower),
    Rung("power cycle", power.cycle, 60.0, slower, switchable),
    Rung("mass erase", mass_erase, 90.0, slower),
    Rung("golden image", golden_image, 120.0, slower),
)
"""From what costs least to what costs most; see docs/operators.md."""
NO_RUNGS: tuple[Rung, ...] = ()
