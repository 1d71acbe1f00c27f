"""How long the core waits for memory: wait states, ST's flash accelerators, the caches of the M7.

Each block looks up the lines it lies in, and the lines of its loads and stores whose addresses are
known when it is entered (`accesses.py`), before any of it runs. What is left out: the accesses
whose address is loaded within the block, peripherals, other bus masters, dirty lines written back,
and the exception frames.

Sources: flash interface and accelerator: RM0090, 3.4 and 3.5; caches: Cortex-M7 TRM (DDI 0489),
5.9: the requested word comes first, so that a load waits for it and not for the whole line. The
costs are in timing/, with what is an estimate marked as one.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass

from unicorn import arm_const as reg

from farm.virtual.accesses import accesses
from farm.virtual.affine import PC
from farm.virtual.bus import Bus, BusFault
from farm.virtual.core import Core
from farm.virtual.decode import Block
from farm.virtual.flash_controller import ACR
from farm.virtual.hook import Edge, EdgeHook
from farm.virtual.memory_costs import Costs
from farm.virtual.memory_plan import NO_REGISTER, Group, Planned, Region, Rules, planned
from farm.virtual.parts import Part
from farm.virtual.peripherals import Peripherals
from farm.virtual.pricing import Model
from farm.virtual.scs import CCR, SystemControl

_REGISTERS = (
    *range(reg.UC_ARM_REG_R0, reg.UC_ARM_REG_R0 + 13),
    reg.UC_ARM_REG_SP,
    reg.UC_ARM_REG_LR,
)
_WORD = 0xFFFFFFFF


class _Memory(ctypes.Structure):
    """`struct memory` of native/memory.h."""

    _fields_ = (
        *((name, ctypes.c_uint64) for name in ("code_stalls", "data_stalls")),
        *((name, ctypes.c_uint64) for name in ("known", "unknown", "uncached")),
        ("regions", ctypes.POINTER(Region)),
        ("region_count", ctypes.c_uint32),
        ("register_ids", ctypes.c_int * PC),
    )


@dataclass(frozen=True)
class Stalls:
    """What memory has cost since power-up, and why.

    `code_cycles` and `data_cycles` are in the core's cycles; hits are lines, misses rows of them,
    by cache. `unpriced` of all `accesses` of the blocks entered had an unknown address;
    `uncached` transfers went past the caches.
    """

    code_cycles: int
    data_cycles: int
    hits: Mapping[str, int]
    misses: Mapping[str, int]
    accesses: int
    unpriced: int
    uncached: int


class MemoryTiming:
    """The waiting of one core; one whose table has no `memory` never waits."""

    def __init__(
        self,
        model: Model,
        part: Part,
        core: Core,
        bus: Bus,
        peripherals: Peripherals,
        scs: SystemControl,
    ) -> None:
        table = model.table.get("memory")
        self._core, self._fetch, self._scs = core, bus.fetch, scs
        self._clocks, self._flash = peripherals.clocks, peripherals.flash
        self._timed = table is not None
        self._costs = Costs(part, table["latency"] if table else {})
        cached, beat_bytes = part.core == "cortex-m7", table["beat_bytes"] if table else 0
        self._rules = Rules(cached, cached, self._costs.row_bytes, beat_bytes)
        self._planned: dict[int, Planned] = {}
        self._library: ctypes.CDLL | None = None
        self._pages: set[int] = set()  # KiB in which literals lie
        self._state = _Memory()
        self._state.register_ids[:] = _REGISTERS
        self._clocks.on_update, scs.on_maintenance = self.update, self._costs.maintain

    @property
    def stalls(self) -> Stalls:
        """The counters."""
        state, caches = self._state, self._costs.caches
        return Stalls(
            state.code_stalls,
            state.data_stalls,
            {name: cache.state.hits for name, cache in caches.items()},
            {name: cache.state.misses for name, cache in caches.items()},
            state.known + state.unknown,
            state.unknown,
            state.uncached,
        )

    def power_up(self) -> None:
        """Counters at zero."""
        state = self._state
        state.code_stalls = state.data_stalls = 0
        state.known = state.unknown = state.uncached = 0
        for cache in self._costs.caches.values():
            cache.state.hits = cache.state.misses = 0

    def reset(self) -> None:
        """Caches empty, and costs by the registers after reset."""
        for cache in self._costs.caches.values():
            cache.clear()
        self.follow_protection()
        self.update()

    def follow_protection(self) -> bool:
        """Take over what the MPU says of caching; whether the plans made so far are void."""
        changed = self._costs.split(self._scs.mpu)
        self._state.region_count = len(self._costs.data)
        self._state.regions = ctypes.cast(self._costs.data, ctypes.POINTER(Region))
        if changed:
            self.update()
        return changed

    def update(self) -> None:
        """A register that decides about costs was written: clocks, FLASH_ACR or CCR."""
        self._settle()
        acr, control = self._flash.page[ACR], self._scs.values[CCR]
        self._costs.update(self._clocks.clocks(), acr, self._flash.wait_states, control)

    def plan(self, key: int, block: Block) -> int | None:
        """The address of the block's `struct plan`; None: it waits for nothing."""
        if not self._timed:
            return None
        known = self._planned.get(key)
        if known is None:
            try:
                code = self._fetch(block.address, block.size)
            except BusFault:
                return None
            found = accesses(block, code, self._literal)
            region, me = self._costs.code_at(block.address), ctypes.addressof(self._state)
            known = self._planned[key] = planned(block, found, self._rules, me, region)
        return known.address

    def holds(self, address: int, size: int) -> bool:
        """Whether a word that was taken for constant may lie in these bytes."""
        return any(p in self._pages for p in range(address >> 10, (address + size - 1 >> 10) + 1))

    def attach(self, hook: EdgeHook) -> None:
        """Let the hook count with it."""
        self._library, hook.stall = hook.library, self.stall

    def forget(self) -> None:
        """Drop what was derived from code; the edges with its plans are gone already."""
        self._settle()
        self._planned.clear()
        self._pages.clear()

    def _settle(self) -> None:
        """Have the native code write what it has put off: it may keep no plan beyond this."""
        if self._library:
            for cache in self._costs.caches.values():
                self._library.settle(ctypes.byref(cache.state))

    def stall(self, edge: Edge) -> int:
        """Cycles that the block of an edge waits: memory_stall() of native/memory.c in Python."""
        plan = self._planned[edge.cur].plan
        state = self._state
        code = self._fetch_stall(edge) if plan.code else 0
        state.known += plan.known
        state.unknown += plan.unknown
        values = [0] * (NO_REGISTER + 1)
        for index in range(plan.register_count):
            values[plan.registers[index]] = self._core.general(plan.registers[index])
        data = sum(self._load_stall(plan.groups[i], values) for i in range(plan.group_count))
        state.code_stalls += code
        state.data_stalls += data
        return int(code + data)

    def _fetch_stall(self, edge: Edge) -> int:
        """Where the next rows are prefetched, only a jump's target is waited for in full."""
        plan = self._planned[edge.cur].plan
        region = plan.code.contents
        cache = self._costs.cache_of(region)
        if cache is None:
            return 0
        missing, first = cache.look_up(plan.start, plan.last)
        if not missing or not region.row_cycles:
            return int(missing * region.stall)
        geometry = cache.geometry
        row = plan.start % geometry.line_bytes // geometry.row_bytes
        follows = (edge.prev + (edge.prev >> 32)) & _WORD == edge.cur & _WORD
        arrives = bool(first >> row & 1) and not follows
        runs = edge.cost * geometry.row_bytes // (edge.cur >> 32)
        waits = region.stall if arrives else 0
        return int(waits + (missing - arrives) * max(region.row_cycles - runs, 0))

    def _load_stall(self, group: Group, values: list[int]) -> int:
        at = group.offset
        for register, shift in zip(group.registers, group.shifts, strict=True):
            at += values[register] << shift
        at &= _WORD
        for region in self._costs.data:
            inside = at - region.base
            if 0 <= inside < region.size:
                fits = region.stall and region.size - inside > group.last
                return self._transfer(region, group, inside + region.origin) if fits else 0
        return 0

    def _transfer(self, region: Region, group: Group, at: int) -> int:
        cache = self._costs.cache_of(region)
        if cache is None:
            self._state.uncached += group.beats
            return 0 if group.store else int(group.beats * region.stall)
        if group.store and not region.allocates:
            return 0
        missing, _ = cache.look_up(at, at + group.last)
        return 0 if group.store else int(missing * region.stall)

    def _literal(self, address: int) -> int | None:
        """A word of flash, which changes only with a notice."""
        if not self._costs.is_flash(address):
            return None
        self._pages.add(address >> 10)
        self._flash.executes(address)
        return int.from_bytes(self._fetch(address, 4), "little")
