"""One microcontroller as data, read from `farm/mcus/<name>.yaml` and checked key by key."""

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal, cast

import yaml

from farm.errors import InventoryError
from farm.shipped_tables import load_table

Action = Literal["modify", "write", "poll"]
ACTIONS: tuple[Action, ...] = ("modify", "write", "poll")
CORES = ("cortex-m4", "cortex-m7")
_FOLDER = Path(__file__).parent
_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
_FILE_LIMIT_BYTES = 65_536
_LIST_LIMIT = 32  # the longest list of steps; the firmware walks them all at start-up
_CHECKS_LIMIT = 8  # how many register values the banner has room for
_WORD = 0xFFFF_FFFF


@dataclass(frozen=True)
class Memory:
    """A contiguous memory: first address and size in bytes."""

    name: str
    base: int
    bytes: int

    @property
    def end(self) -> int:
        """The first address behind the memory."""
        return self.base + self.bytes


@dataclass(frozen=True)
class Step:
    """One register step: set the masked bits to value, write value, or poll until it is there."""

    do: Action
    register: str
    address: int
    mask: int
    value: int


@dataclass(frozen=True)
class Register:
    """A register that the banner reports, and what its masked bits must read."""

    name: str
    address: int
    mask: int
    value: int


@dataclass(frozen=True)
class ClockRecipe:
    """The way to full speed, in the order of the fields; one of the two PLL settings is taken."""

    prepare: tuple[Step, ...]
    external: tuple[Step, ...]
    pll_external: tuple[Step, ...]
    pll_internal: tuple[Step, ...]
    run: tuple[Step, ...]


@dataclass(frozen=True)
class Uart:
    """The console: three register addresses and the steps that switch it on."""

    baud: int
    irq: int
    status: int
    receive: int
    transmit: int
    divisor: int
    divisor_at_clock: int
    divisor_at_reset_clock: int
    setup: tuple[Step, ...]
    enable: tuple[Step, ...]


@dataclass(frozen=True)
class Mcu:
    """What firmware and host must know of one microcontroller; clocks in Hz, sizes in bytes."""

    name: str
    core: str
    targets: str  # how pyOCD's names of the part begin
    device_id_address: int
    device_id: int  # the 12 bits there that tell it from other parts
    clock_hz: int
    reset_clock_hz: int
    flash: Memory
    rams: tuple[Memory, ...]
    ram: Memory  # the contiguous region for stack, data, bss and arena
    fast_ram: Memory | None  # taken for them instead where it has room; the stack always
    code_ram: Memory | None  # the kernels run there where it has room
    stack_bytes: int
    unique_id_address: int
    rated_erases: int  # of each sector of flash, by the data sheet
    clock: ClockRecipe
    cold: tuple[Step, ...]
    checks: tuple[Register, ...]
    uart: Uart


def load_mcu(name: str, folder: Path | None = None) -> Mcu:
    """The microcontroller of that name; InventoryError names the file and key that is wrong."""
    base = folder or _FOLDER
    known = sorted(path.stem for path in base.glob("*.yaml"))
    if not _NAME.fullmatch(name) or name not in known:
        raise InventoryError(f"unknown MCU {name!r}; known are: {', '.join(known)}")
    return _load(base / f"{name}.yaml")


@lru_cache(maxsize=32)
def _load(path: Path) -> Mcu:
    text = path.read_bytes()
    if len(text) > _FILE_LIMIT_BYTES:
        raise InventoryError(f"{path}: larger than {_FILE_LIMIT_BYTES} bytes")
    try:
        content = load_table(path) if path.parent == _FOLDER else yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError, ValueError) as error:
        raise InventoryError(f"{path}: not readable as YAML: {error}") from error
    return _Reader(path, content, "").mcu()


class _Reader:
    """A mapping of the file, taken apart key by key; what is left over is refused."""

    def __init__(self, path: Path, content: object, where: str) -> None:
        self.path, self.where = path, where
        if not isinstance(content, dict):
            raise self.error("", "must be a mapping")
        self.content: dict[object, object] = dict(content)

    def error(self, key: str, problem: str) -> InventoryError:
        name = ".".join(part for part in (self.where, key) if part) or "the file"
        return InventoryError(f"{self.path}: {name} {problem}")

    def take(self, key: str) -> object:
        if key not in self.content:
            raise self.error(key, "is missing")
        return self.content.pop(key)

    def number(self, key: str, low: int = 0, high: int = _WORD) -> int:
        value = self.take(key)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self.error(key, f"must be a whole number in {low:#x}..{high:#x}, not {value!r}")
        return value

    def word(self, key: str, allowed: tuple[str, ...] | None = None) -> str:
        value = self.take(key)
        if not isinstance(value, str) or (allowed is not None and value not in allowed):
            choice = f"one of {', '.join(allowed)}" if allowed else "a text"
            raise self.error(key, f"must be {choice}, not {value!r}")
        return value

    def items(self, key: str, limit: int = _LIST_LIMIT) -> list[object]:
        value = self.take(key)
        if not isinstance(value, list) or len(value) > limit:
            raise self.error(key, f"must be a list of at most {limit} entries")
        return value

    def inner(self, key: str) -> "_Reader":
        return _Reader(self.path, self.take(key), f"{self.where}.{key}".lstrip("."))

    def rows(self, key: str, limit: int = _LIST_LIMIT) -> list["_Reader"]:
        rows = self.items(key, limit)
        name = f"{self.where}.{key}".lstrip(".")
        return [_Reader(self.path, row, f"{name}[{index}]") for index, row in enumerate(rows)]

    def done(self) -> None:
        if self.content:
            keys = ", ".join(sorted(map(str, self.content)))
            raise self.error("", f"has unknown keys: {keys}")

    def mcu(self) -> Mcu:
        registers = self._registers()
        rams = tuple(self._memory(row, row.word("name")) for row in self.rows("rams"))
        mcu = Mcu(
            name=self.word("name", (self.path.stem,)),
            core=self.word("core", CORES),
            targets=self.word("targets"),
            **self._device_id(),
            clock_hz=self.number("clock_hz", 1_000_000, 1_000_000_000),
            reset_clock_hz=self.number("reset_clock_hz", 1_000_000, 1_000_000_000),
            flash=self._memory(self.inner("flash"), "flash"),
            rams=rams,
            ram=self._data_ram(rams),
            fast_ram=self._optional_ram("fast_ram", rams),
            code_ram=self._optional_ram("code_ram", rams),
            stack_bytes=self._stack_bytes(),
            unique_id_address=self.number("unique_id_address"),
            rated_erases=self.number("rated_erases", 100, 10_000_000),
            clock=_clock(self.inner("clock"), registers),
            cold=_steps(self, "cold", registers),
            checks=_checks(self, registers),
            uart=_uart(self.inner("uart"), registers),
        )
        self.done()
        if mcu.stack_bytes >= mcu.ram.bytes:
            raise self.error("stack_bytes", f"must be less than the RAM of {mcu.ram.bytes} bytes")
        return mcu

    def _device_id(self) -> dict[str, int]:
        row = self.inner("device_id")
        found = {
            "device_id_address": row.number("address"),
            "device_id": row.number("value", 1, 4094),
        }
        row.done()
        return found

    def _stack_bytes(self) -> int:
        size = self.number("stack_bytes", 256, 1 << 20)
        if size % 8:
            raise self.error("stack_bytes", "must be a multiple of 8")
        return size

    def _registers(self) -> Mapping[str, int]:
        table = self.inner("registers")
        registers = {name: table.number(name) for name in _texts(table)}
        unaligned = [name for name, address in registers.items() if address % 4]
        if unaligned:
            raise table.error(unaligned[0], "must be a multiple of 4")
        return registers

    def _memory(self, row: "_Reader", name: str) -> Memory:
        memory = Memory(name, row.number("base"), row.number("bytes", 1024, 1 << 28))
        row.done()
        if memory.base % 1024 or memory.bytes % 1024 or memory.end > _WORD:
            raise row.error("", "must lie in 32-bit space in steps of 1024 bytes")
        return memory

    def _optional_ram(self, key: str, rams: tuple[Memory, ...]) -> Memory | None:
        by_name = {memory.name: memory for memory in rams}
        return by_name[self.word(key, tuple(by_name))] if key in self.content else None

    def _data_ram(self, rams: tuple[Memory, ...]) -> Memory:
        by_name = {memory.name: memory for memory in rams}
        names = [str(name) for name in self.items("data_rams")]
        if not names or not all(name in by_name for name in names):
            raise self.error("data_rams", f"must name some of: {', '.join(by_name)}")
        parts = [by_name[name] for name in names]
        if any(a.end != b.base for a, b in itertools.pairwise(parts)):
            raise self.error("data_rams", "must follow one another without a gap")
        return Memory("ram", parts[0].base, sum(part.bytes for part in parts))


def _texts(reader: _Reader) -> list[str]:
    return [str(key) for key in reader.content]


def _step(row: _Reader, registers: Mapping[str, int]) -> Step:
    do = cast(Action, row.word("do", ACTIONS))
    register = row.word("register", tuple(registers))
    mask = _WORD if do == "write" else row.number("mask", 1)
    step = Step(do, register, registers[register], mask, row.number("value"))
    row.done()
    if step.value & ~step.mask:
        raise row.error("value", f"has bits outside the mask {step.mask:#x}")
    return step


def _steps(reader: _Reader, key: str, registers: Mapping[str, int]) -> tuple[Step, ...]:
    return tuple(_step(row, registers) for row in reader.rows(key))


def _clock(reader: _Reader, registers: Mapping[str, int]) -> ClockRecipe:
    keys = ("prepare", "external", "pll_external", "pll_internal", "run")
    recipe = ClockRecipe(*(_steps(reader, key, registers) for key in keys))
    reader.done()
    return recipe


def _checks(reader: _Reader, registers: Mapping[str, int]) -> tuple[Register, ...]:
    checks = []
    for row in reader.rows("checks", _CHECKS_LIMIT):
        name = row.word("register", tuple(registers))
        checks.append(Register(name, registers[name], row.number("mask", 1), row.number("value")))
        row.done()
    return tuple(checks)


def _uart(reader: _Reader, registers: Mapping[str, int]) -> Uart:
    def address(key: str) -> int:
        return registers[reader.word(key, tuple(registers))]

    uart = Uart(
        baud=reader.number("baud", 1200, 10_000_000),
        irq=reader.number("irq", 0, 239),
        status=address("status"),
        receive=address("receive"),
        transmit=address("transmit"),
        divisor=address("divisor"),
        divisor_at_clock=reader.number("divisor_at_clock", 16, 0xFFFFF),
        divisor_at_reset_clock=reader.number("divisor_at_reset_clock", 16, 0xFFFFF),
        setup=_steps(reader, "setup", registers),
        enable=_steps(reader, "enable", registers),
    )
    reader.done()
    return uart
