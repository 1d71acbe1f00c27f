"""`tinyrack boards scan`: find debug probes and consoles without opening any, propose entries."""

from argparse import Namespace
from collections import Counter
from collections.abc import Sequence
from typing import Any

from serial.tools import list_ports

from farm.board import Board, normal_uid
from farm.inventory import load_rack, rack_path
from farm.output import note, print_json, print_line, print_table
from farm.usb import UsbProbe, find_probes, interface_of, same_uid


def scan(args: Namespace) -> int:
    """Show the probes that are plugged in and entries for those not in the rack file."""
    known: tuple[Board, ...] = ()
    if args.boards_file is not None or rack_path().is_file():
        known = load_rack(args.boards_file).boards
    found = find_probes(list_ports.comports())
    for doubt in doubts(found):
        note(f"warning: {doubt}")
    if args.json:
        print_json({"results": [_row(probe, known) for probe in found], "warnings": doubts(found)})
        return 0
    if not found:
        print_line("no debug probe is plugged in (virtual boards need none)")
        return 0
    columns = ("probe", "product", "USB location", "console", "board")
    print_table("", columns, [_cells(probe, known) for probe in found])
    new = [probe for probe in found if probe.uid and not _board_of(probe, known)]
    if new:
        print_line("# for the list `boards:` of boards.yaml; fill in NAME and TYPE")
    for probe in new:
        print_line(entry(probe))
    return 0


def entry(probe: UsbProbe) -> str:
    """A line for the `boards:` list; the name and the type are for the user to fill in."""
    return f'  - {{id: NAME, type: TYPE, probe: "{probe.probe}", serial: {_serial(probe)}}}'


def doubts(found: Sequence[UsbProbe]) -> list[str]:
    """What keeps a probe from being named exactly."""
    nameless = [
        f"the {probe.kind} probe at {probe.location} has no serial number, so that nothing tells "
        "it from another one; give it one with its vendor's tool"
        for probe in found
        if not probe.uid
    ]
    counts = Counter(normal_uid(probe.uid) for probe in found if probe.uid)
    twice = [
        f"{count} probes have the serial number {uid}; keep only one of them plugged in"
        for uid, count in counts.items()
        if count > 1
    ]
    return nameless + twice


def _serial(probe: UsbProbe) -> str:
    """The first console is that of the target on ST-Link, J-Link and DAPLink boards."""
    if probe.ports and not same_uid(probe.ports[0], probe.uid):  # paired by their USB device
        return f'{{by: location, at: "{probe.ports[0].location}"}}'
    if len(probe.ports) > 1:
        return f"{{by: probe, interface: {interface_of(probe.ports[0])}}}"
    return "{by: probe}"


def _board_of(probe: UsbProbe, known: Sequence[Board]) -> str:
    for board in known:
        if not board.virtual and normal_uid(board.probe) == normal_uid(probe.probe):
            return board.id
    return ""


def _cells(probe: UsbProbe, known: Sequence[Board]) -> tuple[object, ...]:
    name = probe.probe if probe.uid else f"{probe.kind} without a serial number"
    ports = ", ".join(port.device for port in probe.ports)
    return name, probe.product, probe.location, ports or None, _board_of(probe, known) or "new"


def _row(probe: UsbProbe, known: Sequence[Board]) -> dict[str, Any]:
    ports = [port.device for port in probe.ports]
    return {
        "probe": probe.probe,
        "product": probe.product,
        "location": probe.location,
        "ports": ports,
        "board": _board_of(probe, known),
        "entry": entry(probe) if probe.uid else "",
    }
