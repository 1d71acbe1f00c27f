"""Board: one board of the rack as boards.yaml describes it, and how it crosses a process."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

ConnectMode = Literal["under-reset", "pre-reset", "halt", "attach"]
State = Literal["active", "maintenance", "retired"]
PROBE_KINDS = ("virtual", "stlink", "cmsisdap", "jlink")
SWD_HZ = 4_000_000


@dataclass(frozen=True)
class BoardType:
    """A kind of board: its MCU's data file and the target name that pyOCD knows it by.

    packs: CMSIS-Packs for targets that pyOCD lacks, as paths beside boards.yaml.
    """

    name: str
    mcu: str
    target: str
    packs: tuple[str, ...] = ()


@dataclass(frozen=True)
class SerialSpec:
    """How to find a board's console.

    `by` probe: the port of the same USB device as the probe (value empty);
    location: USB location such as 1-1.4:1.2; serial: a USB serial number;
    path: a device path. `interface` picks one of several ports of a device, None any.
    """

    by: Literal["probe", "location", "serial", "path"] = "probe"
    value: str = ""
    interface: int | None = None


@dataclass(frozen=True)
class PowerSpec:
    """How to cut a board's power: a port of a USB hub, or commands of the lab's own.

    hub: USB location as uhubctl takes it, with its port from 1; off, on: programs with their
    arguments, started without a shell.
    """

    hub: str = ""
    port: int = 0
    off: tuple[str, ...] = ()
    on: tuple[str, ...] = ()


@dataclass(frozen=True)
class Board:
    """One board of the rack; `probe` is kind:uid as written, exact.

    swd_hz: clock of the debug wires at first, which recovery may lower.
    """

    id: str
    type: BoardType
    probe: str
    serial: SerialSpec = SerialSpec()
    tags: Mapping[str, str] = field(default_factory=dict)
    state: State = "active"
    power: PowerSpec | None = None
    swd_hz: int = SWD_HZ
    connect_mode: ConnectMode = "under-reset"

    @property
    def virtual(self) -> bool:
        """True for an emulated board: nothing measured on it is silicon."""
        return self.probe.startswith("virtual:")

    @property
    def probe_uid(self) -> str:
        """The probe's unique id as written, without its kind."""
        return self.probe.partition(":")[2]


def normal_uid(probe: str) -> str:
    """One spelling for one physical probe: no kind, lower case, no leading zeros.

    pyOCD prints a J-Link as 960177309 where USB says 000960177309, and tools differ in case.
    """
    return plain_uid(probe.partition(":")[2] or probe)


def plain_uid(uid: str) -> str:
    """The same for a number without a kind, which may itself have colons."""
    return uid.lower().lstrip("0") or "0"


def board_to_json(board: Board) -> dict[str, Any]:
    """The board as plain JSON values."""
    return asdict(board) | {"tags": dict(board.tags)}


def board_from_json(row: Mapping[str, Any]) -> Board:
    """Inverse of board_to_json."""
    kind, power = dict(row["type"]), row["power"]
    kind["packs"] = tuple(kind["packs"])
    if power is not None:
        power = PowerSpec(power["hub"], power["port"], tuple(power["off"]), tuple(power["on"]))
    parts = {"type": BoardType(**kind), "serial": SerialSpec(**row["serial"]), "power": power}
    return Board(**(dict(row) | parts))
