"""Exceptions served by native code: what native/exceptions.c needs to know of this board."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Mapping
from typing import Any

import unicorn
from unicorn import arm_const as reg
from unicorn.unicorn_py3.unicorn import uclib

from farm.virtual.bus import PPB_PAGE, Device, Memory
from farm.virtual.exception_state import CYCLES, MEMORIES, ExceptionState
from farm.virtual.hook import EdgeHook
from farm.virtual.native import address_of
from farm.virtual.ppb import SCS
from farm.virtual.scs import FPCCR, LSPACT

_IDS = (
    *(reg.UC_ARM_REG_R0, reg.UC_ARM_REG_R1, reg.UC_ARM_REG_R2, reg.UC_ARM_REG_R3),
    *(reg.UC_ARM_REG_R12, reg.UC_ARM_REG_LR, reg.UC_ARM_REG_PC, reg.UC_ARM_REG_SP),
    *(reg.UC_ARM_REG_MSP, reg.UC_ARM_REG_PSP, reg.UC_ARM_REG_XPSR, reg.UC_ARM_REG_CONTROL),
    *(reg.UC_ARM_REG_PRIMASK, reg.UC_ARM_REG_BASEPRI, reg.UC_ARM_REG_FAULTMASK),
    reg.UC_ARM_REG_FPSCR,
    *(reg.UC_ARM_REG_D0 + n for n in range(8)),
)
_CODE_UNIT = 1 << 10
_Load = ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_uint32, ctypes.c_uint32)
_Store = ctypes.CFUNCTYPE(None, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_uint32)
_NOWHERE = 0xFFFFFFFF


class NativeExceptions:
    """Fills the shared state in; without native code it does nothing more."""

    def __init__(
        self, state: ExceptionState, hook: EdgeHook, memories: Iterable[Memory], cycles: Any
    ) -> None:
        self._state, self._library = state, hook.library
        self._writable: list[tuple[int, int]] = []
        self._set_cycles(cycles)
        self._set_memories(memories)
        self.forget()
        hook.postponed = self._postponed
        state.ids[: len(_IDS)] = _IDS
        state.counters = ctypes.addressof(hook.counters)
        state.reg_write = address_of(uclib.uc_reg_write)
        if hook.library:
            hook.counters.exceptions = ctypes.addressof(state)
            where = ctypes.addressof(state)
            hook.add_native(unicorn.UC_HOOK_INTR, hook.library.interrupt, where)

    def map_control(self, uc: Any, base: int, device: Device) -> bool:
        """Serve the system control space natively, `device` the rest; whether that can be done."""
        if self._library is None or base != SCS:
            return False
        self._calls = (
            _Load(lambda offset, size: device.read(offset, size, debugger=False)),
            _Store(lambda offset, size, value: device.write(offset, size, value, debugger=False)),
        )
        self._state.load, self._state.store = (address_of(call) for call in self._calls)
        load, store = address_of(self._library.scs_load), address_of(self._library.scs_store)
        me = ctypes.addressof(self._state)
        status = uclib.uc_mmio_map(uc._uch, base, PPB_PAGE, load, me, store, me)
        if status != unicorn.UC_ERR_OK:
            raise unicorn.UcError(status)
        return True

    def _postponed(self) -> bool:
        """Whether FP registers wait to be saved; then they are, once the core has stopped."""
        waiting = bool(self._state.words[FPCCR >> 2] & LSPACT)
        self._state.unsaved = waiting
        return waiting

    def _set_cycles(self, cycles: Mapping[str, Any]) -> None:
        for name in CYCLES:
            setattr(self._state, name, cycles.get(name, 0))

    def _set_memories(self, memories: Iterable[Memory]) -> None:
        places = [(base, memory) for memory in memories for base in memory.bases]
        for slot, (base, memory) in zip(self._state.memory, places[:MEMORIES], strict=False):
            slot.base, slot.size, slot.bytes = base, len(memory.data), memory.pointer
            slot.writable = memory.store is None
            if slot.writable:
                self._writable.append((base, base + len(memory.data)))
        self._state.memories = min(len(places), MEMORIES)

    def forget(self) -> None:
        """No code has been executed from memory that can be written."""
        self._state.code_first, self._state.code_end = _NOWHERE, 0

    def executes(self, address: int, size: int) -> None:
        """Code is about to run there: no native frame may be written over it."""
        state = self._state
        if any(base <= address < end for base, end in self._writable):
            state.code_first = min(state.code_first, address & -_CODE_UNIT)
            last = address + size - 1
            state.code_end = max(state.code_end, min(last | _CODE_UNIT - 1, _NOWHERE - 1) + 1)
