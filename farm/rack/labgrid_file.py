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
        "USBDebugger": {"match": {"ID_SERIAL_SHORT": board.probe_uid}},
        **_console(board),
    }
    if board.power is not None and board.power.hub:
        found["USBPowerPort"] = {
            "match": {"sys_name": board.power.hub},
            "index": board.power.port,
        }
    return found


def _console(board: Board) -> dict[str, Resource]:
    spec, speed = board.serial, load_mcu(board.type.mcu).uart.baud
    if spec.by == "path":
        return {"RawSerialPort": {"port": spec.value, "speed": speed}}
    match = {"ID_PATH": f"*-usb-0:{spec.value.partition('-')[2]}"}
    if spec.by != "location":
        match = {"@ID_SERIAL_SHORT": spec.value or board.probe_uid}
    if spec.interface is not None:
        match["ID_USB_INTERFACE_NUM"] = f"{spec.interface:02}"
    return {"USBSerialPort": {"match": match, "speed": speed}}
