"""`tinyrack monitor`: show what boards send on their consoles."""

import select as selecting
import sys
import time
from argparse import Namespace
from contextlib import ExitStack

import serial

from farm.leases.lease import lease, renewing
from farm.mcus import load_mcu
from farm.output import note, print_json
from farm.rack.inventory import Board, load_rack
from farm.rack.rack_checks import selected
from farm.serial_port import open_port
from farm.virtual.rack import ensure_up

_POLL_S = 0.2


def run(args: Namespace) -> int:
    """Print consoles until Ctrl-C or --seconds; bytes that are no text appear as \\xNN."""
    boards = selected(load_rack(args.boards_file), args.boards)
    deadline = None if args.seconds is None else time.monotonic() + args.seconds
    received = dict.fromkeys((board.id for board in boards), 0)
    with ExitStack() as stack:
        ports = [(board, _open(stack, board, args.wait)) for board in boards]
        note(f"listening to {', '.join(received)}; Ctrl-C ends")
        while deadline is None or time.monotonic() < deadline:
            for board, data in _read(ports):
                received[board.id] += len(data)
                _show(args, board, data, named=len(boards) > 1)
    if args.json:
        rows = [{"board": b.id, "received_bytes": received[b.id]} for b in boards]
        print_json({"results": rows})
    return 0


def _open(stack: ExitStack, board: Board, wait_s: float) -> serial.Serial:
    held = stack.enter_context(lease(board, wait_s, purpose="monitor"))
    stack.enter_context(renewing(held))
    if board.virtual:
        ensure_up(board)
    return stack.enter_context(open_port(board, load_mcu(board.type.mcu).uart.baud))


def _read(ports: list[tuple[Board, serial.Serial]]) -> list[tuple[Board, bytes]]:
    ready = selecting.select([port for _, port in ports], [], [], _POLL_S)[0]
    return [(board, port.read(port.in_waiting or 1)) for board, port in ports if port in ready]


def _show(args: Namespace, board: Board, data: bytes, *, named: bool) -> None:
    text = readable(data)
    if named:
        text = "".join(f"{board.id}: {line}\n" for line in text.splitlines())
    (sys.stderr if args.json else sys.stdout).write(text)
    sys.stdout.flush()


def readable(data: bytes) -> str:
    """Text as it is, line ends kept, every other byte as \\xNN: no escape sequence gets through."""
    keep = set(range(0x20, 0x7F)) | {0x09, 0x0A}
    return "".join(chr(b) if b in keep else "" if b == 0x0D else f"\\x{b:02x}" for b in data)
