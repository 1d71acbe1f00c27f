"""Which of the plugged-in debug probes is a board's: exactly one, or none.

pyOCD takes the first probe whose serial number is spelled as it spells it. Here the probes of the
board's kind are listed, and chosen by number however it is spelled; two with one number are an
error. pyOCD opens CMSIS-DAP probes to list them, so never list while something is measured.
"""

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

from serial.tools import list_ports

from farm.errors import AwayError
from farm.rack.board import Board
from farm.usb import find_probes, is_uid, probes_of

_LACKING: Mapping[str, str] = {
    "jlink": "SEGGER's J-Link library is not installed on this host; install the J-Link software "
    "of segger.com, or the probe cannot be used"
}


def find(board: Board) -> Any:
    """pyOCD's object for the board's probe, None when it is not connected.

    AwayError when two probes have its number, or this host lacks what probes of its kind need.
    """
    aggregator = importlib.import_module("pyocd.probe.aggregator")
    if board.virtual:  # a daemon of exactly this name; nothing is listed
        return aggregator.DebugProbeAggregator.get_probe_with_id(board.probe)
    places = [p.location for p in probes_of(board.probe, find_probes(list_ports.comports()))]
    if len(places) > 1:
        raise _twins(board, places)
    listed = _listed(board, aggregator.PROBE_CLASSES)
    found = [probe for probe in listed if is_uid(probe.unique_id, board.probe_uid)]
    if len(found) > 1:
        raise _twins(board, places)
    return found[0] if found else None


def _listed(board: Board, kinds: Mapping[str, Any]) -> Sequence[Any]:
    kind = board.probe.partition(":")[0]
    if kind not in kinds:
        why = _LACKING.get(kind, f"pyOCD knows no probes of the kind {kind!r}; install it anew")
        raise AwayError(why, board.id)
    try:
        return list(kinds[kind].get_all_connected_probes(None, True))
    except ValueError as error:  # pyOCD's own, at two probes of one number with two interfaces
        raise AwayError(
            f"pyOCD cannot tell the {kind} probes apart ({error}); unplug those that share a "
            "serial number (`tinyrack boards scan` names them)",
            board.id,
        ) from error


def _twins(board: Board, places: Sequence[str]) -> AwayError:
    where = f", at USB {' and '.join(places)}" if len(places) > 1 else ""
    return AwayError(
        f"more than one probe has the number of {board.probe}{where}, so that its own is not to be "
        "told; unplug the others, or give them another number with their vendor's tool",
        board.id,
    )
