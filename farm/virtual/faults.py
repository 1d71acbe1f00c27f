"""Faults on command: what a virtual board shall suffer, when, and from which seed.

`inject(board, fault("flash-program", at=0x08000100, seed=3))`; docs/faults.md has the list. Faults
live in the board's daemon: they end with `clear`, and when the daemon does.
"""

from __future__ import annotations

import json
from typing import Any

from farm.errors import BenchError, InventoryError
from farm.rack.inventory import Board
from farm.virtual import rack
from farm.virtual.faults_table import KINDS, Fault, FaultError, Kind, Parameter, fault, from_json
from farm.virtual.faults_table import parse as _parse
from farm.virtual.rpc import Op, Request

__all__ = ["KINDS", "Fault", "FaultError", "Kind", "Parameter", "active", "clear", "fault"]
__all__ += ["inject", "parse"]


def parse(kind: str, words: list[str], seed: int = 0) -> Fault:
    """A fault from words such as "at=0x08000100"; InventoryError when there is no such thing."""
    try:
        return _parse(kind, words, seed)
    except FaultError as error:
        raise InventoryError(str(error)) from error


def inject(board: Board, what: Fault) -> dict[str, Any]:
    """Begin a fault; what it changed at once ("addresses" of bits that rotted).

    BenchError when the board is not up or cannot have the fault. Whoever uses the board is not
    asked: that is what faults are for.
    """
    return _tell(board, {"do": "inject", "fault": what.to_json()}, f"fault {what.kind}")


def clear(board: Board) -> int:
    """End all faults of the board, also those still to come; how many there were. BenchError."""
    return int(_tell(board, {"do": "clear"}, "clearing its faults")["cleared"])


def active(board: Board) -> tuple[Fault, ...]:
    """What is wrong with the board, or still will be, in the order of injection. BenchError."""
    found = _tell(board, {"do": "active"}, "asking for its faults")["active"]
    return tuple(from_json(each) for each in found)


def _tell(board: Board, order: dict[str, Any], doing: str) -> dict[str, Any]:
    request = Request(Op.FAULT, payload=json.dumps(order).encode())
    answer = json.loads(rack.ask(board, request, doing).payload)
    if not isinstance(answer, dict):
        raise BenchError(f"{doing} failed: its daemon answers nonsense", board.id)
    return answer
