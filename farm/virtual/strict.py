"""Unaligned addresses that a core of Armv7-M refuses, and Unicorn does not.

What a block needs is looked at when it is entered, from its registers; and not even then where the
block before has needed the same. Only where that fails, or where an address depends on what the
block itself loads (from elsewhere than the stack), are its loads and stores hooked one by one.
Not caught: an address made of two registers within an IT block while CCR.UNALIGN_TRP is set; one
that is right in memory but not in the registers of a peripheral, where silicon refuses it.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import unicorn
from unicorn import arm_const

from farm.virtual.alignment import Access, Alignment, align
from farm.virtual.core import Core
from farm.virtual.decode import holds
from farm.virtual.execution import Runner, Stop
from farm.virtual.hook import GENERAL, EdgeHook, form_value
from farm.virtual.pricing import Pricer

_FORMS = 1 << 14  # entries of the table
_NOWHERE = 0xD0000000  # nothing answers here, nor around it, on any part


_Odd = ctypes.CFUNCTYPE(None)


class _AccessState(ctypes.Structure):
    """`struct access` of native/strict.c."""

    _fields_ = (
        ("counters", ctypes.c_void_p),
        ("now", ctypes.c_uint64 * 2),
        ("odd", _Odd),
    )


class Strict:
    """Finds what must be aligned, and stops before what is not.

    `fetch(address, size)` gives the bytes of code.
    """

    def __init__(
        self,
        core: Core,
        hook: EdgeHook,
        runner: Runner,
        pricer: Pricer,
        fetch: Callable[[int, int], bytes],
    ) -> None:
        self._core, self._hook, self._runner, self._pricer = core, hook, runner, pricer
        self._fetch = fetch
        self._forms = (ctypes.c_uint64 * _FORMS)()
        hook.counters.forms = self._forms
        self._hooks: dict[int, Any] = {}
        self._distrusted: set[int] = set()
        self.all_words = False  # CCR.UNALIGN_TRP
        self.forget()

    def forget(self) -> None:
        """The code has changed."""
        for handle, _ in self._hooks.values():
            if self._hook.library:
                self._hook.remove_native(handle)
            else:
                self._core.uc.hook_del(handle)
        self._hooks.clear()
        self._distrusted.clear()
        self._blocks: dict[int, Alignment] = {}
        self._lists: dict[tuple[int, ...], int] = {(): 0}
        self._used = 1

    def find(self, key: int) -> bool:
        """Hook what must be in a block; whether there is anything new."""
        before = len(self._hooks)
        for access in self._alignment(key).accesses:
            unknown = access.entry is None or key in self._distrusted
            if unknown and access.address not in self._hooks:
                self._hooks[access.address] = self._add(access)
                self._runner.stale = True
        return len(self._hooks) > before

    def watch(self, key: int) -> None:
        """Hook each access of a block that nothing will look at when it is entered."""
        self.distrust(key)
        self.find(key)

    def distrust(self, key: int) -> None:
        """A block was entered with an address that may be unaligned: look at each of its own."""
        self._distrusted.add(key)

    def forms(self, prev: int, cur: int) -> int:
        """Where in the table the list of forms begins that the hook is to look at; 0: none."""
        if cur in self._distrusted:
            return 0
        alignment = self._alignment(cur)
        needed = alignment.needed
        if prev and prev not in self._distrusted:
            before = self._alignment(prev)
            needed = tuple(form for form in needed if not before.implied(form))
        return self._listed(tuple(w for form in needed for w in (form, *alignment.used(form))))

    def _listed(self, needed: tuple[int, ...]) -> int:
        found = self._lists.get(needed)
        if found is not None:
            return found
        if self._used + len(needed) >= _FORMS:
            self._start_again()
        first, self._used = self._used, self._used + len(needed) + 1
        self._forms[first : self._used] = [*needed, 0]
        self._lists[needed] = first
        return first

    def _start_again(self) -> None:
        """No room: every edge is to be priced anew."""
        c = self._hook.counters
        prev, before = c.prev, c.before
        self._hook.forget()
        c.prev, c.before = prev, before
        self._lists, self._used = {(): 0}, 1

    def _alignment(self, key: int) -> Alignment:
        found = self._blocks.get(key)
        if found is None:
            block = self._pricer.block(key)
            code = self._fetch(block.address, block.size)
            found = self._blocks[key] = align(block, code, self.all_words)
        return found

    def _add(self, access: Access) -> tuple[Any, Any]:
        """The hook, and what must live as long as it does."""
        at, library, kind = access.address, self._hook.library, unicorn.UC_HOOK_CODE
        if library is None:
            look = self._core.uc.hook_add(kind, lambda *_: self._look(access), begin=at, end=at)
            return look, None
        odd = _Odd(lambda: self._look(access))
        state = _AccessState(ctypes.addressof(self._hook.counters), (access.now, 0), odd)
        where = ctypes.addressof(state)
        return self._hook.add_native(kind, library.look, where, begin=at, end=at), state

    def _look(self, access: Access) -> None:
        """Just before a load or store."""
        uc, instr = self._core.uc, access.instr
        flags = uc.reg_read(arm_const.UC_ARM_REG_CPSR)
        if not form_value(uc, access.now, iter(())) or not holds(instr.condition, flags):
            return
        if not instr.conditional:
            self._runner.trap(Stop.UNALIGNED)
        elif access.base >= 0:
            self._lead_astray(access.base)

    def _lead_astray(self, base: int) -> None:
        """Unicorn stops within an IT block by a failing access alone, so let it fail."""
        register, value = GENERAL[base], self._core.general(base)
        self._core.uc.reg_write(register, _NOWHERE)
        self._runner.trap(Stop.UNALIGNED, undo=lambda: self._core.uc.reg_write(register, value))
