"""The block-edge hook: native C when it can be built, Python with the same cycles otherwise."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import unicorn
from unicorn import arm_const
from unicorn.unicorn_py3.unicorn import uclib

from farm.virtual.native import address_of, load_native

NEVER = 0xFFFFFFFFFFFFFFFE
SENT_BYTES = 8192
_SLOTS = 1 << 14
_SPACE = 0xFFFFFFFF
_MASKS = (
    arm_const.UC_ARM_REG_PRIMASK,
    arm_const.UC_ARM_REG_BASEPRI,
    arm_const.UC_ARM_REG_FAULTMASK,
)
GENERAL = (
    *range(arm_const.UC_ARM_REG_R0, arm_const.UC_ARM_REG_R0 + 13),
    arm_const.UC_ARM_REG_SP,
    arm_const.UC_ARM_REG_LR,
)
_TOTALS = ("cycles", "blocks", "instructions", "prev", "before", "cost", "event")
_FLAGS_32 = ("stop", "stopped", "off", "watch")
_READS = ("idle_reads", "idle_limit", "status_bit", "used", "slot_mask")


class Edge(ctypes.Structure):
    """What the step from one block to the next costs; `struct edge` of native/board.h."""

    _fields_ = (
        ("prev", ctypes.c_uint64),
        ("cur", ctypes.c_uint64),
        ("cost", ctypes.c_uint32),
        ("instructions", ctypes.c_uint32),
        ("plan", ctypes.c_void_p),
        ("floating", ctypes.c_uint32),
        ("strict", ctypes.c_uint32),
    )


_Price = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(Edge))


class Counters(ctypes.Structure):
    """What the hook counts and what ends a slice; `struct counters` of native/board.h."""

    _fields_ = (
        *((name, ctypes.c_uint64) for name in _TOTALS),
        ("fuel", ctypes.c_int64),
        *((name, ctypes.c_uint32) for name in _FLAGS_32),
        ("masks", ctypes.c_uint32 * 3),
        *((name, ctypes.c_uint32) for name in _READS),
        ("table", ctypes.POINTER(Edge)),
        *((name, ctypes.c_void_p) for name in ("price", "emu_stop", "reg_read")),
        ("mask_ids", ctypes.c_int * 3),
        ("attention", ctypes.c_uint32),
        ("general_ids", ctypes.c_int * 15),
        ("forms", ctypes.POINTER(ctypes.c_uint64)),
        ("mem_read", ctypes.c_void_p),
        ("sent", ctypes.c_uint32),
        ("sent_size", ctypes.c_uint32),
        ("sent_bytes", ctypes.c_void_p),
        ("exceptions", ctypes.c_void_p),
    )


class EdgeHook:
    """Counts the cycles of one core.

    `price(edge)` fills in an edge that was not seen yet, or says False to stop the core before the
    block. All fields of `counters` mean the same with and without native code.
    """

    def __init__(
        self,
        core: Any,
        price: Callable[[Edge], bool],
        on_sent: Callable[[bytes], None],
        native: bool,
    ) -> None:
        self.counters = Counters(event=NEVER, idle_limit=NEVER & 0xFFFFFFFF, sent_size=SENT_BYTES)
        self._core = core
        self._price = price
        self._on_sent = on_sent
        self.on_cut: Callable[[int], None] = lambda _pc: None  # a block ends before this address
        self.postponed: Callable[[], bool] = lambda: False  # FP registers are to be saved first
        self.stall: Callable[[Edge], int] = lambda _edge: 0  # what memory adds, without native code
        self._known: dict[tuple[int, int], Edge] = {}
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
        self._callback = _Price(lambda edge: self._price(edge.contents))
        c.table = ctypes.cast(self._table, ctypes.POINTER(Edge))
        c.slot_mask = _SLOTS - 1
        c.price = address_of(self._callback)
        c.emu_stop, c.reg_read = address_of(uclib.uc_emu_stop), address_of(uclib.uc_reg_read)
        c.mask_ids[:] = _MASKS
        c.general_ids[:] = GENERAL
        c.mem_read = address_of(uclib.uc_mem_read)
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

    def add_native(
        self, kind: int, function: Any, user: int, begin: int = 1, end: int = 0
    ) -> ctypes.c_size_t:
        """Install a native function as a Unicorn hook of this kind, with its user pointer.

        It is called for addresses from `begin` to `end`, by default for all. Gives what
        remove_native() wants.
        """
        handle = ctypes.c_size_t()
        where = ctypes.cast(function, ctypes.c_void_p)
        core, slot = self._core._uch, ctypes.byref(handle)
        status = uclib.uc_hook_add(core, slot, kind, where, user, begin, end)
        if status != unicorn.UC_ERR_OK:
            raise unicorn.UcError(status)
        return handle

    def remove_native(self, handle: ctypes.c_size_t) -> None:
        """Take a hook of add_native() away; Unicorn does so when the core starts next."""
        uclib.uc_hook_del(self._core._uch, handle)

    def _block(self, core: Any, address: int, size: int, _user: Any) -> None:
        """What block() of native/block.c does, in Python."""
        c = self.counters
        if c.off:
            return
        blocked = c.stop or c.attention or c.fuel <= 0 or c.cycles >= c.event
        if blocked or (c.watch and [core.reg_read(r) for r in _MASKS] != list(c.masks)):
            c.stopped = 1
            core.emu_stop()
            return
        cur = address | size << 32
        edge = self._known.get((c.prev, cur))
        if edge is None:
            edge = Edge(c.prev, cur)
            if not self._price(edge):
                c.stopped = 1
                core.emu_stop()
                return
            self._known[c.prev, cur] = edge
        look = edge.strict and self._misaligned(edge.strict) and not self._price(edge)
        if look or (edge.floating and self.postponed()):
            c.stopped = 1
            core.emu_stop()
            return
        c.before, c.prev, c.cost = c.prev, cur, edge.cost
        c.cycles += edge.cost + (self.stall(edge) if edge.plan else 0)
        c.instructions += edge.instructions
        c.blocks += 1
        c.fuel -= size >> 1

    def _misaligned(self, first: int) -> bool:
        """What misaligned() of native/strict.c does, in Python."""
        words = (int(self.counters.forms[i]) for i in count(first))
        try:
            return any(form_value(self._core, form, words) for form in iter(words.__next__, 0))
        except unicorn.UcError:  # no memory at SP
            return True


def form_value(core: Any, form: int, offsets: Iterator[int]) -> int:
    """A form of alignment.py, modulo 4; `offsets` gives those from SP of the words in it."""
    factors = ((register, form >> 2 * n & 3) for n, register in enumerate(GENERAL))
    total = (form >> 30) + sum(f * int(core.reg_read(r)) for r, f in factors if f)
    stack = core.reg_read(arm_const.UC_ARM_REG_SP)
    for lane in range(32, form.bit_length(), 2):
        factor = form >> lane & 3
        if factor:
            read = core.mem_read(stack + next(offsets) & _SPACE, 4)
            total += factor * int.from_bytes(read, "little")
    return int(total & 3)
