"""A rack as a labgrid exporter's configuration, so that people can share its boards by labgrid.

One group a board: the probe by its USB serial number, the console, and the power port. labgrid's
own list of probes lacks some CMSIS-DAP ones (its `USBDebugger`); such a board says so.
"""

from collections.abc import Mapping
from typing import Any

import yaml

from farm.mcus import load_mcu
from farm.rack.board import Board
from farm.rack.inventory import Rack

_HEAD = "# Written by `tinyrack boards export`; the local lease of a board stays authoritative.\n"
Resource = Mapping[str, Any]


def exporter_file(rack: Rack) -> tuple[str, list[str]]:
    """The YAML text, and what a person should know of it."""
    real = [board for board in rack.boards if not board.virtual and board.state == "active"]
    left_out = [board.id for board in rack.boards if board not in real]
    doubts = [f"{', '.join(left_out)}: virtual or not active, left out"] if left_out else []
    doubts += [
        f"{board.id}: labgrid may not know this CMSIS-DAP probe as a USBDebugger"
        for board in real
        if board.probe.startswith("cmsisdap:")
    ]
    groups = {board.id: _resources(board) for board in real}
    return _HEAD + yaml.safe_dump(groups, sort_keys=False), doubts


def _resources(board: Board) -> dict[str, Resource]:
    found: dict[str, Resource] = {
        "USBDebugger": {"match": {"ID_SERIAL_SHORT": _usb_serial(board)}},
        **_console(board),
    }
    if board.power is not None and board.power.hub:
        found["USBPowerPort"] = {
            "match": {"sys_name": _hub_interface(board.power.hub)},
            "index": board.power.port,
        }
    return found


def _hub_interface(hub: str) -> str:
    """What the hub's driver is bound to, in sysfs: 1-1.4:1.0, and 1-0:1.0 of the root hub 1."""
    return f"{hub}{'' if '-' in hub else '-0'}:1.0"


def _usb_serial(board: Board) -> str:
    """The probe's number as USB has it, which labgrid takes to the letter: a J-Link's 12 digits."""
    uid = board.probe_uid
    return f"{uid:0>12}" if board.probe.startswith("jlink:") and uid.isdecimal() else uid


def _console(board: Board) -> dict[str, Resource]:
    spec, speed = board.serial, load_mcu(board.type.mcu).uart.baud
    if spec.by == "path":
        return {"RawSerialPort": {"port": spec.value, "speed": speed}}
    match = {"@sys_name": spec.value}  # as sysfs calls the interface; labgrid knows no wildcards
    if spec.by != "location":
        match = {"@ID_SERIAL_SHORT": spec.value or _usb_serial(board)}
    if spec.interface is not None:
        match["ID_USB_INTERFACE_NUM"] = f"{spec.interface:02x}"
    return {"USBSerialPort": {"match": match, "speed": speed}}
