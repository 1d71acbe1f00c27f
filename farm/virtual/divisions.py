"""Cycles of SDIV and UDIV by their operands, where the timing table has a rule for them.

The price of a block holds `issue` cycles for each division. The rest is added when one runs: only
these instructions are hooked, by divide() of native/divide.c or by the same in Python.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from functools import partial
from typing import Any

import unicorn
from unicorn import arm_const

from farm.virtual.core import Core
from farm.virtual.decode import NUMBERS, Block, Instr, holds
from farm.virtual.hook import EdgeHook

_UNICORN = (
    *range(arm_const.UC_ARM_REG_R0, arm_const.UC_ARM_REG_R0 + 13),
    arm_const.UC_ARM_REG_SP,
    arm_const.UC_ARM_REG_LR,
)


class _Divider(ctypes.Structure):
    """`struct divider` of native/divide.c."""

    _fields_ = (
        ("counters", ctypes.c_void_p),
        ("block", ctypes.c_uint64),
        *((n, ctypes.c_uint32) for n in ("at", "spent")),
        *((n, ctypes.c_uint32) for n in ("zero", "smaller", "base", "bits_per_cycle", "issue")),
    )


class _Division(ctypes.Structure):
    """`struct division` of native/divide.c."""

    _fields_ = (
        ("divider", ctypes.c_void_p),
        *((n, ctypes.c_int) for n in ("dividend_id", "divisor_id", "flags_id")),
        ("is_signed", ctypes.c_uint32),
        ("condition", ctypes.c_uint32),
    )


class Divisions:
    """`rule`: the table's section `division`, in cycles; None: divisions have a fixed price."""

    def __init__(self, core: Core, hook: EdgeHook, rule: Mapping[str, int] | None) -> None:
        self._core, self._hook, self._rule = core, hook, rule
        where = ctypes.addressof(hook.counters)
        self._divider = _Divider(counters=where, **(rule or {}))
        self._sites: dict[tuple[int, ...], _Division] = {}  # kept: Unicorn holds their addresses
        self._hooks: dict[int, Any] = {}
        hook.on_cut = self.refund

    def find(self, block: Block) -> bool:
        """Hook the divisions of a block; whether there is one that was not hooked."""
        if self._rule is None:
            return False
        before, at = len(self._hooks), block.address
        for instr in block.instrs:
            if instr.name in ("sdiv", "udiv") and at not in self._hooks:
                self._hooks[at] = self._add(instr, at)
            at += instr.size
        return len(self._hooks) > before

    def forget(self) -> None:
        """The code has changed."""
        for handle in self._hooks.values():
            if self._hook.library:
                self._hook.remove_native(handle)
            else:
                self._core.uc.hook_del(handle)
        self._hooks.clear()

    def refund(self, pc: int) -> None:
        """The core was stopped at `pc`: a division there has been counted, but did not run."""
        d, counters = self._divider, self._hook.counters
        if d.at == pc and d.block == counters.blocks:
            counters.cycles -= d.spent
            d.at = d.spent = 0

    def _add(self, instr: Instr, at: int) -> Any:
        library = self._hook.library
        if library:
            site = ctypes.addressof(self._site(instr))
            kind = unicorn.UC_HOOK_CODE
            return self._hook.add_native(kind, library.divide, site, begin=at, end=at)
        call = partial(self._divide, instr)
        return self._core.uc.hook_add(unicorn.UC_HOOK_CODE, call, begin=at, end=at)

    def _site(self, instr: Instr) -> _Division:
        registers = (NUMBERS[instr.dividend], NUMBERS[instr.last])
        key = (*registers, instr.name == "sdiv", instr.condition)
        if key not in self._sites:
            ids = (*(_UNICORN[n] for n in registers), arm_const.UC_ARM_REG_CPSR)
            divider = ctypes.addressof(self._divider)
            self._sites[key] = _Division(divider, *ids, *key[2:])
        return self._sites[key]

    def _divide(self, instr: Instr, _uc: Any, address: int, _size: int, _user: Any) -> None:
        """What divide() of native/divide.c does, in Python."""
        if not holds(instr.condition, self._core.uc.reg_read(arm_const.UC_ARM_REG_CPSR)):
            return
        numbers = (NUMBERS[instr.dividend], NUMBERS[instr.last])
        dividend, divisor = (self._core.general(n) for n in numbers)
        if instr.name == "sdiv":
            dividend, divisor = _magnitude(dividend), _magnitude(divisor)
        d, counters = self._divider, self._hook.counters
        d.at, d.block = address, counters.blocks
        d.spent = self.cycles(dividend, divisor) - d.issue
        counters.cycles += d.spent

    def cycles(self, dividend: int, divisor: int) -> int:
        """Of a division of these magnitudes."""
        d = self._divider
        gap = dividend.bit_length() - divisor.bit_length()
        if not dividend or not divisor:
            return int(d.zero)
        return int(d.smaller if gap < 0 else d.base + gap // d.bits_per_cycle)


def _magnitude(value: int) -> int:
    return 0x100000000 - value if value >> 31 else value
