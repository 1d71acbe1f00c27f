"""What a rack file says that only this host can contradict: files, programs, consoles."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from farm.errors import BenchError, InventoryError
from farm.rack.board import Board
from farm.rack.inventory import Rack
from farm.serial_port import port_of
from farm.usb import PortInfo


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


def consoles_apart(boards: Sequence[Board], ports: Sequence[PortInfo]) -> None:
    """InventoryError for two boards whose consoles, plugged in now, are one device.

    Two ways to find it, such as a path and a USB socket, can only be compared here. A console that
    is not there is no fault of the file.
    """
    owners: dict[Path, str] = {}
    for board in boards:
        if board.virtual or board.state == "retired":
            continue
        try:
            device = Path(port_of(board, ports)).resolve()
        except BenchError:
            continue
        owner = owners.setdefault(device, board.id)
        if owner != board.id:
            raise InventoryError(
                f"{board.id}: its console {device} is also the console of {owner}; correct "
                "`serial` of one of them in boards.yaml"
            )
