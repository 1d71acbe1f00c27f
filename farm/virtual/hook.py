"""The block-edge hook: native C when it can be built, Python with the same cycles otherwise."""

from __future__ import annotations

import ctypes
import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import platformdirs
import unicorn
from unicorn import arm_const
from unicorn.unicorn_py3.unicorn import uclib

UNKNOWN = 0xFFFFFFFFFFFFFFFF
NEVER = 0xFFFFFFFFFFFFFFFE
SENT_BYTES = 8192
_SLOTS = 1 << 14
_FLAGS = ("-shared", "-nostdlib", "-O2", "-fno-sanitize=undefined", "-fno-stack-protector")
_MASKS = (
    arm_const.UC_ARM_REG_PRIMASK,
    arm_const.UC_ARM_REG_BASEPRI,
    arm_const.UC_ARM_REG_FAULTMASK,
)
_TOTALS = ("cycles", "blocks", "prev", "before", "cost", "event")
_FLAGS_32 = ("stop", "stopped", "off", "watch")
_READS = ("idle_reads", "idle_limit", "status_bit", "used", "slot_mask")
_Price = ctypes.CFUNCTYPE(ctypes.c_uint64, ctypes.c_uint64, ctypes.c_uint64)


class Edge(ctypes.Structure):
    """One row of the native edge table."""

    _fields_ = (("prev", ctypes.c_uint64), ("cur", ctypes.c_uint64), ("cost", ctypes.c_uint64))


class Counters(ctypes.Structure):
    """What the hook counts and what ends a slice; `struct counters` of hook.c."""

    _fields_ = (
        *((name, ctypes.c_uint64) for name in _TOTALS),
        ("fuel", ctypes.c_int64),
        *((name, ctypes.c_uint32) for name in _FLAGS_32),
        ("masks", ctypes.c_uint32 * 3),
        *((name, ctypes.c_uint32) for name in _READS),
        ("table", ctypes.POINTER(Edge)),
        *((name, ctypes.c_void_p) for name in ("price", "emu_stop", "reg_read")),
        ("mask_ids", ctypes.c_int * 3),
        ("sent", ctypes.c_uint32),
        ("sent_size", ctypes.c_uint32),
        ("sent_bytes", ctypes.c_void_p),
    )


def load_native() -> ctypes.CDLL | None:
    """The compiled hook, built anew when the cache holds a damaged one; None: do without."""
    for _ in range(2):
        try:
            built = build_native()
        except OSError:  # a cache that cannot be written
            return None
        if built is None:
            return None
        try:
            return ctypes.CDLL(str(built))
        except OSError:
            built.unlink(missing_ok=True)
    return None


def build_native() -> Path | None:
    """The compiled hook from the user's cache, built if needed; None: no working compiler."""
    source = Path(__file__).with_name("hook.c")
    text = source.read_bytes() + repr((_FLAGS, sys.platform, os.uname().machine)).encode()
    name = f"hook-{hashlib.sha256(text).hexdigest()[:16]}.so"
    folder = platformdirs.user_cache_path("tinyrack") / "native"
    built = folder / name
    if not built.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            part = Path(scratch) / name
            if not _compile(source, part):
                return None
            part.replace(built)  # atomic: two boards may build at the same time
    return built


def _compile(source: Path, library: Path) -> bool:
    command = [sys.executable, "-m", "ziglang", "cc", *_FLAGS, str(source), "-o", str(library)]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=120)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def address_of(function: Any) -> int:
    """The address of a C function."""
    return ctypes.cast(function, ctypes.c_void_p).value or 0


class EdgeHook:
    """Counts the cycles of one core.

    `price(prev, cur)` gives the cost of an edge that was not seen yet, or UNKNOWN to stop the core
    before the block. All fields of `counters` mean the same with and without native code.
    """

    def __init__(
        self,
        core: Any,
        price: Callable[[int, int], int],
        on_sent: Callable[[bytes], None],
        native: bool,
    ) -> None:
        self.counters = Counters(event=NEVER, idle_limit=NEVER & 0xFFFFFFFF, sent_size=SENT_BYTES)
        self._core = core
        self._price = price
        self._on_sent = on_sent
        self._known: dict[tuple[int, int], int] = {}
        self.library = load_native() if native else None
        self._sent = (ctypes.c_uint8 * SENT_BYTES)()
        self.counters.sent_bytes = ctypes.addressof(self._sent)
        if self.library:
            self._attach_native(self.library)
        else:
            core.hook_add(unicorn.UC_HOOK_BLOCK, self._block)

    @property
    def native(self) -> bool:
        """Whether the C hook counts."""
        return self.library is not None

    def _attach_native(self, library: ctypes.CDLL) -> None:
        c = self.counters
        self._table = (Edge * _SLOTS)()
        self._callback = _Price(self._price)
        c.table = ctypes.cast(self._table, ctypes.POINTER(Edge))
        c.slot_mask = _SLOTS - 1
        c.price = address_of(self._callback)
        c.emu_stop, c.reg_read = address_of(uclib.uc_emu_stop), address_of(uclib.uc_reg_read)
        c.mask_ids[:] = _MASKS
        self.add_native(unicorn.UC_HOOK_BLOCK, library.block, ctypes.addressof(c))

    def forget(self) -> None:
        """Drop the known costs: the code has changed."""
        self._known.clear()
        if self.library:
            ctypes.memset(self._table, 0, ctypes.sizeof(self._table))
        self.counters.used = 0
        self.counters.prev = self.counters.before = 0

    def transmit(self, value: int) -> None:
        """Queue one byte that the UART sends."""
        if self.counters.sent >= SENT_BYTES:
            self.flush_sent()
        self._sent[self.counters.sent] = value & 0xFF
        self.counters.sent += 1
        self.counters.idle_reads = 0

    def flush_sent(self) -> None:
        """Hand over what the UART has sent since the last call."""
        count, self.counters.sent = self.counters.sent, 0
        if count:
            self._on_sent(bytes(self._sent[:count]))

    def add_native(self, kind: int, function: Any, user: int) -> None:
        """Install a function of hook.c as a Unicorn hook of this kind, with its user pointer."""
        handle = ctypes.c_size_t()
        where = ctypes.cast(function, ctypes.c_void_p)
        status = uclib.uc_hook_add(self._core._uch, ctypes.byref(handle), kind, where, user, 1, 0)
        if status != unicorn.UC_ERR_OK:
            raise unicorn.UcError(status)

    def _block(self, core: Any, address: int, size: int, _user: Any) -> None:
        """What block() of hook.c does, in Python."""
        c = self.counters
        if c.off:
            return
        blocked = c.stop or c.fuel <= 0 or c.cycles >= c.event
        if blocked or (c.watch and [core.reg_read(r) for r in _MASKS] != list(c.masks)):
            c.stopped = 1
            core.emu_stop()
            return
        cur = address | size << 32
        cost = self._known.get((c.prev, cur))
        if cost is None:
            cost = self._price(c.prev, cur)
            if cost == UNKNOWN:
                c.stopped = 1
                core.emu_stop()
                return
            self._known[c.prev, cur] = cost
        c.before, c.prev, c.cost = c.prev, cur, cost
        c.cycles += cost
        c.blocks += 1
        c.fuel -= size >> 1
