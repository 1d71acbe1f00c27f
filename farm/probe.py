"""The debug probe of one board, through pyOCD: connect, flash, verify, reset, read.

pyOCD is imported only when a probe is opened: it takes about a second, and its session is
global, so that a process must drive one board only.
"""

import errno
import importlib
import os
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from farm import probe_facts, probe_search, targets, wear, whole_flash
from farm.errors import BenchError, ImageError, InventoryError, ProbeBusyError, ProbeMissingError
from farm.ladder import power
from farm.ladder.slow_wires import as_used
from farm.mcus import Mcu
from farm.rack.inventory import Board
from farm.virtual import rack
from farm.virtual.rpc import BoardBusyError

_READ_BYTES = 16_384
_DEVICE_ID = 0xFFF
_TAKEN = (errno.EBUSY, errno.EACCES)  # of USB: another program, or no rights
FLASH_DEADLINES_S = {  # of one call of a flash algorithm; a big sector takes up to 4 s to erase
    "flash.timeout.init": 5.0,
    "flash.timeout.program": 10.0,
    "flash.timeout.erase_sector": 10.0,
    "flash.timeout.analyzer": 30.0,
}


@dataclass(frozen=True)
class Flashed:
    """What programming did: addresses of the sectors erased, bytes programmed, bytes that were
    right already."""

    sectors: tuple[int, ...]
    programmed_bytes: int
    kept_bytes: int


class Programmable(Protocol):
    """What can be flashed: a name for messages, and bytes by address."""

    @property
    def name(self) -> str:
        """What messages call it."""

    def segments(self) -> list[tuple[int, bytes]]:
        """(address, bytes) of everything that goes into flash."""


class Probe:
    """A halted or running board behind an open debug session; BenchError when it fails."""

    def __init__(self, board: Board, mcu: Mcu, session: Any) -> None:
        self._board, self._mcu, self._session = board, mcu, session

    def flash(self, image: Programmable) -> Flashed:
        """Program the image; sectors that hold it already are left alone. No word on success."""
        check_fits(image, self._mcu)
        plans: list[Any] = []
        event = _pyocd("core.target").Target.Event.PRE_FLASH_PROGRAM
        with (
            self._worn_by(plans),
            self._errors("flashing", "try again; if it goes on, erase the chip"),
        ):
            # The algorithms set the flash to no wait states: only safe at the clock of reset.
            self._session.target.reset_and_halt()
            loader = _pyocd("flash.loader").MemoryLoader(self._session)
            for address, data in image.segments():
                loader.add_data(address, data)
            self._session.subscribe(lambda notice: plans.append(notice.source), event)
            loader.commit()
        done = [plan.get_performance() for plan in plans]
        return Flashed(
            _erased(plans),
            sum(each.program_byte_count for each in done),
            sum(each.skipped_byte_count for each in done),
        )

    @contextmanager
    def _worn_by(self, plans: list[Any]) -> Iterator[None]:
        """Count what the plans erase, also when they are not carried out to their end."""
        try:
            yield
        finally:
            wear.add_erases(self._board, _erased(plans))

    def verify(self, image: Programmable) -> None:
        """Read every byte of the image back and compare; pyOCD itself never does."""
        for address, data in image.segments():
            found = self.read(address, len(data))
            if found != data:
                at = next(
                    i for i, pair in enumerate(zip(found, data, strict=True)) if len(set(pair)) > 1
                )
                raise BenchError(
                    f"its flash at {address + at:#010x} holds {found[at]:#04x} instead of "
                    f"{data[at]:#04x} after flashing {image.name}; flash it again",
                    self._board.id,
                )

    def facts(self) -> dict[str, str | float]:
        """What probe and chip say of themselves; see farm.probe_facts."""
        with self._errors("reading the device id", "check power and wires"):
            word = self._session.target.read32(self._mcu.device_id_address)
        return {"device_idcode": f"{word:#010x}"} | probe_facts.of(self._session.probe)

    def reset(self) -> None:
        """Reset the board and let it run."""
        with self._errors("the reset", "power-cycle the board"):
            self._session.target.reset()

    def reset_and_halt(self) -> None:
        """Reset the board and stop it before its first instruction."""
        with self._errors("the reset", "power-cycle the board"):
            self._session.target.reset_and_halt()

    def mass_erase(self) -> None:
        """Erase the whole flash, and unlock the part where that is the way to do it."""
        with self._errors("the mass erase", "power-cycle the board"):
            self._session.target.reset_and_halt()
            delegate = self._session.delegate
            delegate.erased = None
            try:
                self._session.target.mass_erase()
                if delegate.erased is None:  # this part has a way of its own, which asks nobody
                    delegate.erased = list(whole_flash.sectors(self._session.target))
            finally:
                wear.add_erases(self._board, delegate.erased or ())

    def read(self, address: int, count: int) -> bytes:
        """Bytes of the board's memory as its bus sees them, past every cache."""
        parts: list[bytes] = []
        with self._errors(f"reading {count} bytes at {address:#010x}", "check the connection"):
            parts += [
                self._read(address + at, min(_READ_BYTES, count - at))
                for at in range(0, count, _READ_BYTES)
            ]
        data = b"".join(parts)
        if len(data) != count:
            raise BenchError(f"its probe returned {len(data)} bytes of {count}", self._board.id)
        return data

    def _read(self, address: int, count: int) -> bytes:
        """By words where it can be: pyOCD looks at every value for breakpoints."""
        if address % 4 or count % 4:
            return bytes(self._session.target.read_memory_block8(address, count))
        words = self._session.target.read_memory_block32(address, count // 4)
        return struct.pack(f"<{len(words)}I", *words)

    @contextmanager
    def _errors(self, doing: str, advice: str) -> Iterator[None]:
        with _pyocd_errors(self._board, doing, advice):
            yield


def check_fits(image: Programmable, mcu: Mcu) -> None:
    """Raise ImageError when some of the image's bytes lie outside the MCU's flash."""
    for address, data in image.segments():
        if address < mcu.flash.base or address + len(data) > mcu.flash.end:
            raise ImageError(
                f"{image.name} has bytes at {address:#x}, outside the flash of {mcu.name}"
            )


@contextmanager
def open_probe(board: Board, mcu: Mcu) -> Iterator[Probe]:
    """The board's own probe, never another one's; BenchError when it is absent or in use.

    On a slow debug clock where recovery found that to be needed (farm.ladder.slow_wires).
    """
    power.switched_on(board)
    board = as_used(board)
    with _pyocd_errors(board, "finding its probe", "check cable and power"):
        session = _session(board)
    try:
        with _pyocd_errors(board, "connecting", "check power, and who else uses the probe"):
            session.open()
            _check_chip(board, mcu, session.target.read32(mcu.device_id_address))
        yield Probe(board, mcu, session)
    finally:
        with _pyocd_errors(board, "disconnecting", "replug the probe"):
            session.close()  # also undoes what a failed open has done


def _check_chip(board: Board, mcu: Mcu, word: int) -> None:
    """Refuse a part of another kind: its flash would be programmed by another's algorithm."""
    found = word & _DEVICE_ID
    if found in (0, _DEVICE_ID):
        raise BenchError(f"it says {found:#05x} where its device id should be", board.id)
    if found != mcu.device_id:
        raise InventoryError(
            f"{board.id}: its chip has the device id {found:#05x}, a {mcu.name} has "
            f"{mcu.device_id:#05x}; correct its type or its probe in boards.yaml"
        )


def _session(board: Board) -> Any:
    targets.register()
    if (probe := probe_search.find(board)) is None:
        raise _absent(board)
    session = _pyocd("core.session").Session(
        probe,
        options={
            "target_override": board.type.target,
            "project_dir": str(Path.cwd()),  # a session changes to it: stay here
            "no_config": True,
            "user_script": os.devnull,  # else pyocd_user.py of the folder would be run
            "hide_programming_progress": True,
            **FLASH_DEADLINES_S,
            "chip_erase": "sector",
            "smart_flash": True,
            "keep_unwritten": False,
            "connect_mode": board.connect_mode,  # under reset: whatever the flash holds
            "frequency": board.swd_hz,
            "pack": list(board.type.packs),
            "reset.hold_time": 0.01,
            "reset.post_delay": 0.01,
        },
    )
    session.delegate = _Delegate()
    return session


def _absent(board: Board) -> BenchError:
    """A daemon that is down is to be mended; a probe that is not plugged in says nothing of it."""
    what = f"no probe {board.probe} is connected"
    if board.virtual and not ((found := rack.find(board.probe_uid)) and found.alive):
        return BenchError(f"{what}; run `tinyrack rack up`", board.id)
    return ProbeMissingError(
        f"{what}; check cable and power, or correct it in boards.yaml (`tinyrack boards scan` "
        "lists what is there)",
        board.id,
    )


class _Delegate:
    """What pyOCD asks about while it connects and erases.

    erased: sectors of the last mass erase, None if pyOCD did not ask for it.
    """

    erased: list[int] | None = None

    def mass_erase(self, target: Any) -> bool:
        """Erase the whole flash, in place of pyOCD."""
        self.erased = []
        for sector in whole_flash.erase(target):
            self.erased.append(sector)
        return True

    def will_init_target(self, target: Any, init_sequence: Any) -> None:
        """Leave out the names of the peripherals' registers: nobody asks, and some take 0.2 s."""
        del target
        if init_sequence.has_task("load_svd"):
            init_sequence.remove_task("load_svd")


def _erased(plans: Sequence[Any]) -> tuple[int, ...]:
    """Sectors that pyOCD's plans of regions of flash found to differ: it erases these."""
    found = (sector for plan in plans for sector in plan.sector_list)
    return tuple(s.addr for s in found if any(page.same is False for page in s.page_list))


def _pyocd(module: str) -> Any:
    """A module of pyOCD, imported now."""
    return importlib.import_module(f"pyocd.{module}")


@contextmanager
def _pyocd_errors(board: Board, doing: str, advice: str) -> Iterator[None]:
    """Turn what pyOCD and USB raise into a BenchError that names the board."""
    problems = _pyocd("core.exceptions")
    try:
        yield
    except problems.TargetSupportError as error:
        raise InventoryError(
            f"{board.id}: pyOCD does not know the target {board.type.target!r} of its type "
            f"{board.type.name}; correct it in boards.yaml, or name its CMSIS-Pack under `packs`"
        ) from error
    except (problems.Error, OSError, TimeoutError) as error:
        reason = str(error) or type(error).__name__
        kind = ProbeBusyError if _is_taken(error) else BenchError
        raise kind(f"{doing} failed: {reason}; {advice}", board.id) from error


def _is_taken(error: BaseException | None) -> bool:
    """Whether somebody else has the probe, or may alone use it, by what lies below an error."""
    while error is not None:
        if isinstance(error, BoardBusyError) or getattr(error, "errno", None) in _TAKEN:
            return True
        error = error.__cause__ or error.__context__
    return False
