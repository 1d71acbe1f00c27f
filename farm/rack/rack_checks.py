"""What a rack file says that only this host can contradict: files, programs, consoles."""

import shutil
from collections.abc import Collection, Sequence
from pathlib import Path

from serial.tools import list_ports

from farm.errors import BenchError, InventoryError
from farm.rack.board import Board
from farm.rack.inventory import Rack, select
from farm.serial_port import port_of
from farm.usb import PortInfo


def selected(rack: Rack, selector: str) -> tuple[Board, ...]:
    """The boards that a selector names, for work: as `select`, and refused as `own_consoles`."""
    boards = select(rack, selector)
    own_consoles(rack, boards)
    return boards


def own_consoles(rack: Rack, boards: Sequence[Board]) -> None:
    """InventoryError when the console of one of these is that of another board of the rack, too.

    As far as they are plugged in now; nothing is looked at for virtual boards.
    """
    real = {board.id for board in boards if not board.virtual}
    if real:
        consoles_apart(rack.boards, list_ports.comports(), real)


def packs_there(rack: Rack) -> None:
    """InventoryError for a type with a CMSIS-Pack that is no file."""
    for each in rack.types.values():
        for pack in each.packs:
            if not Path(pack).is_file():
                raise InventoryError(
                    f"{rack.path}: type {each.name}: its pack {pack} is no file; put it there, "
                    "or take it out of `packs`"
                )


def programs_missing(rack: Rack) -> list[str]:
    """Doubts about programs that switch power and are not on this host."""
    wanted = {
        (board.id, "uhubctl" if board.power.hub else program)
        for board in rack.boards
        if board.power and not board.virtual and board.state != "retired"
        for program in (board.power.off[:1] + board.power.on[:1] or ("uhubctl",))
    }
    return [
        f"{board}: {program}, which switches its power, is not there or cannot be run"
        for board, program in sorted(wanted)
        if not shutil.which(program)
    ]


def consoles_apart(
    boards: Sequence[Board], ports: Sequence[PortInfo], of: Collection[str] | None = None
) -> None:
    """InventoryError for two boards whose consoles, plugged in now, are one device.

    of: ids of boards, one of which it must be about; None: any.

    Two ways to find it, such as a path and a USB socket, can only be compared here. A console that
    is not there is no fault of the file.
    """
    owners: dict[Path, str] = {}
    for board in boards:
        if board.virtual or board.state == "retired":
            continue
        try:
            device = Path(port_of(board, ports)).resolve()
        except (BenchError, OSError):
            continue
        owner = owners.setdefault(device, board.id)
        if owner != board.id and (of is None or owner in of or board.id in of):
            raise InventoryError(
                f"{board.id}: its console {device} is also the console of {owner}; correct "
                "`serial` of one of them in boards.yaml"
            )
