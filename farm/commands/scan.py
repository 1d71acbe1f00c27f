"""`tinyrack boards scan`: find debug probes and consoles without opening any, propose entries."""

import re
from argparse import Namespace
from collections.abc import Iterator, Sequence
from typing import Any

from serial.tools import list_ports

from farm.output import note, print_json, print_line, print_table
from farm.rack.board import Board, normal_uid
from farm.rack.board_fields import PROBE
from farm.rack.board_line import board_line
from farm.rack.inventory import find_rack
from farm.rack.rack_checks import consoles_apart
from farm.usb import UsbProbe, find_probes, interface_of, is_uid, same_uid


def scan(args: Namespace) -> int:
    """Show the probes that are plugged in and entries for those not in the rack file."""
    rack = find_rack(args.boards_file)
    known = rack.boards if rack else ()
    ports = list_ports.comports()
    consoles_apart(known, ports)
    found = find_probes(ports)
    wondered = doubts(found, known)
    for doubt in wondered:
        note(f"warning: {doubt}")
    if args.json:
        rows = [_row(probe, found, known) for probe in found]
        print_json({"results": rows, "warnings": wondered})
        return 0
    if not found:
        print_line("no debug probe is plugged in (virtual boards need none)")
        return 0
    columns = ("probe", "product", "USB location", "console", "board")
    print_table("", columns, [_cells(probe, known) for probe in found])
    new = [line for probe in found if (line := proposal(probe, found, known))]
    if new:
        print_line("# for the list `boards:` of boards.yaml; fill in what is in capitals")
    for line in new:
        print_line(line)
    return 0


def entry(probe: UsbProbe) -> str:
    """A line for the `boards:` list; name, type and a console that is not there are to fill in."""
    return board_line(
        {"id": "NAME", "type": "TYPE", "probe": probe.probe, "serial": _serial(probe)}
    )


def proposal(probe: UsbProbe, found: Sequence[UsbProbe], known: Sequence[Board]) -> str:
    """The entry of a probe that the file lacks, '' for one that cannot be named exactly."""
    ready = re.fullmatch(PROBE, probe.probe) and len(_twins(probe, found)) == 1
    return entry(probe) if ready and not _board_of(probe, known) else ""


def doubts(found: Sequence[UsbProbe], known: Sequence[Board] = ()) -> list[str]:
    """What keeps a probe from being named exactly, or from being used."""
    return [doubt for probe in found for doubt in _doubts(probe, found, known)]


def _doubts(probe: UsbProbe, found: Sequence[UsbProbe], known: Sequence[Board]) -> Iterator[str]:
    where = f"the {probe.kind} probe at {probe.location}"
    twins = _twins(probe, found)
    if not probe.uid:
        yield (
            f"{where} has no serial number, so that nothing tells it from another one; give it "
            "one with its vendor's tool"
        )
    elif not re.fullmatch(PROBE, probe.probe):
        yield f"{where} has the serial number {probe.uid!r}, which boards.yaml cannot name"
    elif probe is not twins[0]:
        return
    elif twins[1:]:
        yield (
            f"{len(twins)} probes have the serial number {probe.uid}, at USB "
            f"{' and '.join(each.location for each in twins)}; keep only one of them plugged in, "
            "or give one another number with its vendor's tool"
        )
    elif not probe.ports and not _board_of(probe, known):
        yield (
            f"{where} has no console of its own; put the USB socket of the board's adapter for "
            "WHERE, or use another kind of `serial:`"
        )


def _twins(probe: UsbProbe, found: Sequence[UsbProbe]) -> list[UsbProbe]:
    """All probes of that number, the probe itself among them; of several kinds, too."""
    return [each for each in found if is_uid(each.uid, probe.uid)]


def _serial(probe: UsbProbe) -> dict[str, str | int]:
    """The first console is that of the target on ST-Link, J-Link and DAPLink boards."""
    if not probe.ports:
        return {"by": "location", "at": "WHERE"}
    if not same_uid(probe.ports[0], probe.uid):  # paired by their USB device
        return {"by": "location", "at": probe.ports[0].location or "WHERE"}
    interface = interface_of(probe.ports[0])
    if len(probe.ports) > 1 and interface is not None:
        return {"by": "probe", "interface": interface}
    return {"by": "probe"}


def _board_of(probe: UsbProbe, known: Sequence[Board]) -> str:
    for board in known:
        if not board.virtual and normal_uid(board.probe) == normal_uid(probe.probe):
            return board.id
    return ""


def _cells(probe: UsbProbe, known: Sequence[Board]) -> tuple[object, ...]:
    name = probe.probe if probe.uid else f"{probe.kind} without a serial number"
    ports = ", ".join(port.device for port in probe.ports)
    return name, probe.product, probe.location, ports or None, _board_of(probe, known) or "new"


def _row(probe: UsbProbe, found: Sequence[UsbProbe], known: Sequence[Board]) -> dict[str, Any]:
    ports = [port.device for port in probe.ports]
    return {
        "probe": probe.probe,
        "product": probe.product,
        "location": probe.location,
        "ports": ports,
        "board": _board_of(probe, known),
        "entry": proposal(probe, found, known),
    }
