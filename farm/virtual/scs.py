"""The system control space at 0xE000E000: NVIC, SysTick, SCB, FPU and debug registers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from farm.virtual.debug_parts import GENERIC_CLASS, component_id
from farm.virtual.exception_state import Words
from farm.virtual.mpu import LAST as MPU_LAST
from farm.virtual.mpu import TYPE as MPU_TYPE
from farm.virtual.mpu import Mpu
from farm.virtual.nvic import (
    BUS_FAULT,
    DEBUG_MONITOR,
    FIRST_IRQ,
    HARD_FAULT,
    MEM_MANAGE,
    NMI,
    PEND_SV,
    SVC,
    SYSTICK,
    USAGE_FAULT,
    Nvic,
    SysTick,
)
from farm.virtual.parts import Part

CPUID, ICSR, VTOR, AIRCR, SCR, CCR, SHPR1 = 0xD00, 0xD04, 0xD08, 0xD0C, 0xD10, 0xD14, 0xD18
SHCSR, CFSR, HFSR, DFSR, MMFAR, BFAR = 0xD24, 0xD28, 0xD2C, 0xD30, 0xD34, 0xD38
CLIDR, CTR = 0xD78, 0xD7C
CCSIDR, CSSELR, CPACR = 0xD80, 0xD84, 0xD88
DHCSR, DCRSR, DCRDR, DEMCR, STIR, MVFR0 = 0xDF0, 0xDF4, 0xDF8, 0xDFC, 0xF00, 0xF40
FPCCR, FPCAR, FPDSCR = 0xF34, 0xF38, 0xF3C
ICIALLU, BPIALL = 0xF50, 0xF78  # cache maintenance lies between
C_DEBUGEN, C_HALT, C_STEP, C_MASKINTS = 1, 2, 4, 8
VC_CORERESET, TRCENA = 1, 1 << 24
VC_MMERR, VC_NOCPERR, VC_CHKERR, VC_STATERR = 1 << 4, 1 << 5, 1 << 6, 1 << 7
VC_BUSERR, VC_INTERR, VC_HARDERR = 1 << 8, 1 << 9, 1 << 10
MON_EN, MON_PEND, MON_STEP = 1 << 16, 1 << 17, 1 << 18
DFSR_HALTED, DFSR_BKPT, DFSR_DWT, DFSR_VCATCH, DFSR_EXTERNAL = 1, 2, 4, 8, 16
IACCVIOL, DACCVIOL, MUNSTKERR, MSTKERR, MMARVALID = 1, 2, 1 << 3, 1 << 4, 1 << 7
IBUSERR, PRECISERR, BFARVALID = 1 << 8, 1 << 9, 1 << 15
UNSTKERR, STKERR = 1 << 11, 1 << 12
MLSPERR, LSPERR = 1 << 5, 1 << 13
UNDEFINSTR, INVSTATE, INVPC, NOCP = 1 << 16, 1 << 17, 1 << 18, 1 << 19
UNALIGNED, DIVBYZERO = 1 << 24, 1 << 25
USERSETMPEND, UNALIGN_TRP, DIV_0_TRP, STKALIGN = 1 << 1, 1 << 3, 1 << 4, 1 << 9  # of CCR
ASPEN, LSPEN, LSPACT = 1 << 31, 1 << 30, 1  # of FPCCR
SLEEPONEXIT, SEVONPEND = 1 << 1, 1 << 4  # of SCR
FORCED, DEBUGEVT, VECTTBL = 1 << 30, 1 << 31, 2
_VECTKEY = 0x05FA
_FPU, _FPU_PRIVILEGED = 0xF << 20, 0x5 << 20
_ENABLES = {MEM_MANAGE: 1 << 16, BUS_FAULT: 1 << 17, USAGE_FAULT: 1 << 18}
# SHCSR (DDI 0403E, B3.2.13): the active and the pending bit of each exception.
_ACTIVE = {
    MEM_MANAGE: 1,
    BUS_FAULT: 1 << 1,
    USAGE_FAULT: 1 << 3,
    SVC: 1 << 7,
    DEBUG_MONITOR: 1 << 8,
    PEND_SV: 1 << 10,
    SYSTICK: 1 << 11,
}
_PENDED = {USAGE_FAULT: 1 << 12, MEM_MANAGE: 1 << 13, BUS_FAULT: 1 << 14, SVC: 1 << 15}
_USAGE_CATCHES = {
    VC_NOCPERR: NOCP,
    VC_CHKERR: UNALIGNED | DIVBYZERO,
    VC_STATERR: UNDEFINSTR | INVSTATE | INVPC,
}
_PLAIN = (SCR, CCR, MMFAR, BFAR, CSSELR, CPACR, FPCCR, FPCAR, FPDSCR)
_PLAIN_RANGES = ((0xF90, 0xFB0),)  # TCM and cache control of the M7
_ID_REGISTERS = {
    0xD40: 0x30,
    0xD44: 0x200,
    0xD48: 0x00100000,
    0xD50: 0x00100030,
    0xD58: 0x01000000,
    0xD60: 0x01141110,
    0xD64: 0x02112000,
    0xD68: 0x21232231,
    0xD6C: 0x01111131,
    0xD70: 0x01310132,
}


class Control(Protocol):
    """What the registers make the machine do."""

    def write_debug_control(self, value: int) -> None:
        """DHCSR, key already checked."""

    def debug_status(self) -> int:
        """DHCSR as read."""

    def transfer_register(self, selector: int, value: int | None) -> int:
        """Read, or write when there is a value, a core register."""

    def request_reset(self, debugger: bool) -> None:
        """AIRCR.SYSRESETREQ."""

    def write_trace_enable(self, value: int) -> None:
        """DEMCR."""

    def protection_changes(self) -> None:
        """A register of the memory protection unit was written."""

    def checks_change(self) -> None:
        """CCR, SCR or CPACR was written."""


class SystemControl:
    """The registers by their offset in the page; `debugger` tells who asks."""

    def __init__(self, part: Part, nvic: Nvic, systick: SysTick, control: Control) -> None:
        self._part, self._nvic, self._systick, self._control = part, nvic, systick, control
        self.values = Words(nvic.state.words)
        self.demcr = 0  # but for MON_PEND
        self.dfsr = 0
        self._cause = 0  # the bits of CFSR of the last fault
        self._dcrdr = 0
        self.mpu = Mpu(part.mpu_type, control.protection_changes)
        self.on_maintenance: Callable[[int, int], None] = lambda _offset, _value: None  # of caches
        self._writers: dict[int, Callable[[int], None]] = {
            ICSR: self._write_icsr,
            SHCSR: self._write_shcsr,
            VTOR: self._write_vtor,
            CFSR: self._clear_cfsr,
            HFSR: self._clear_hfsr,
            DFSR: self._clear_dfsr,
            STIR: self._trigger,
        }
        self.reset()

    def reset(self) -> None:
        """What a system reset clears; the debug registers stay."""
        self.values.clear()
        self.values[CCR], self.values[FPCCR] = STKALIGN, ASPEN | LSPEN
        self.values[VTOR] = self._part.boot_vector
        self.cfsr = self.hfsr = 0
        self.mpu.reset()

    @property
    def vtor(self) -> int:
        """Where the vector table lies."""
        return self.values[VTOR]

    @property
    def fpu_enabled(self) -> bool:
        """Whether CPACR lets all code use the FPU."""
        return self.values[CPACR] & _FPU == _FPU

    @property
    def fpu_on(self) -> bool:
        """Whether CPACR lets at least privileged code use it (DDI 0403E, section B3.2.20)."""
        return self.values[CPACR] & _FPU in (_FPU, _FPU_PRIVILEGED)

    @property
    def traced(self) -> bool:
        """Whether the DWT works (DEMCR.TRCENA)."""
        return bool(self.demcr & TRCENA)

    @property
    def sleeps_on_exit(self) -> bool:
        """Whether the return to thread mode is as good as a WFI (SCR.SLEEPONEXIT)."""
        return bool(self.values[SCR] & SLEEPONEXIT)

    @property
    def sends_on_pend(self) -> bool:
        """Whether anything that becomes pending ends a WFE (SCR.SEVONPEND)."""
        return bool(self.values[SCR] & SEVONPEND)

    def catches(self, number: int, internal: bool) -> bool:
        """Whether DEMCR halts a debugged core at this exception's handler."""
        wanted = {HARD_FAULT: VC_HARDERR, MEM_MANAGE: VC_MMERR, BUS_FAULT: VC_BUSERR}.get(number, 0)
        if number == USAGE_FAULT:
            wanted = sum(bit for bit, causes in _USAGE_CATCHES.items() if self._cause & causes)
        return bool(self.demcr & (wanted | (VC_INTERR if internal else 0)))

    def pend_monitor(self, pending: bool) -> None:
        """DEMCR.MON_PEND: the debug monitor as any exception, even without MON_EN."""
        if pending:
            self._nvic.pend(DEBUG_MONITOR)
        else:
            self._nvic.pending.discard(DEBUG_MONITOR)

    def fault_enabled(self, number: int) -> bool:
        """Whether the exception has a handler of its own: faults need their bit in SHCSR."""
        return number not in _ENABLES or bool(self.values[SHCSR] & _ENABLES[number])

    def report(self, number: int, bits: int, address: int | None) -> None:
        """A fault in CFSR and, with its address, in MMFAR or BFAR."""
        self.cfsr |= bits
        self._cause = bits
        if address is not None:
            protection = number == MEM_MANAGE
            self.cfsr |= MMARVALID if protection else BFARVALID
            self.values[MMFAR if protection else BFAR] = address

    def read(self, offset: int, size: int, debugger: bool) -> int:
        """A read of `size` bytes."""
        word = self._read(offset & ~3, debugger)
        return word >> 8 * (offset & 3) & ((1 << 8 * size) - 1)

    def write(self, offset: int, size: int, value: int, debugger: bool) -> None:
        """A write; parts of a word are allowed in the priority and fault registers."""
        shift = 8 * (offset & 3)
        if size == 4:
            self._write(offset, value & 0xFFFFFFFF, debugger)
        elif 0x400 <= offset < 0x600 or SHPR1 <= offset < SHCSR:
            for lane in range(size):
                self._priority(offset + lane, value >> 8 * lane & 0xFF)
        elif offset & ~3 == CFSR:
            self._write(CFSR, value << shift, debugger)

    def _read(self, offset: int, debugger: bool) -> int:
        if offset >= 0xFD0:
            return component_id(offset, 0x00C, 0x43B, GENERIC_CLASS)
        if DHCSR <= offset <= DEMCR:
            return self._read_debug(offset, debugger)
        if offset < 0xD00:
            return self._read_nvic(offset)
        return self._read_scb(offset)

    def _read_debug(self, offset: int, debugger: bool) -> int:
        if offset == DHCSR:
            return self._control.debug_status() if debugger else 0
        pending = MON_PEND if DEBUG_MONITOR in self._nvic.pending else 0
        return {DCRDR: self._dcrdr, DEMCR: self.demcr | pending}.get(offset, 0)

    def _read_scb(self, offset: int) -> int:
        data_cache = not self.values[CSSELR] & 1
        caches = self._part.caches
        mvfr = dict(zip((MVFR0, MVFR0 + 4, MVFR0 + 8), self._part.mvfr, strict=True))
        fixed = {
            CPUID: self._part.cpuid,
            AIRCR: 0xFA050000 | self._nvic.group_shift << 8,
            CFSR: self.cfsr,
            HFSR: self.hfsr,
            DFSR: self.dfsr,
            CLIDR: caches["clidr"],
            CTR: caches["ctr"],
            CCSIDR: caches["ccsidr_data" if data_cache else "ccsidr_code"],
            **mvfr,
            **_ID_REGISTERS,
        }
        if offset == ICSR:
            return self._read_icsr()
        if offset == SHCSR:
            return self._read_shcsr()
        if MPU_TYPE <= offset <= MPU_LAST:
            return self.mpu.read(offset)
        if SHPR1 <= offset < SHCSR:
            return self._priority_word(4 + offset - SHPR1)
        return fixed.get(offset, self.values[offset])

    def _read_icsr(self) -> int:
        pending, active = self._nvic.pending, self._nvic.active
        bits = (1 << 31 if NMI in pending else 0) | (1 << 28 if PEND_SV in pending else 0)
        bits |= 1 << 26 if SYSTICK in pending else 0
        bits |= 1 << 22 if any(n >= FIRST_IRQ for n in pending) else 0
        bits |= self._nvic.announced << 12
        return bits | (not set(active) - {self._nvic.now}) << 11 | self._nvic.now

    def _read_shcsr(self) -> int:
        active = sum(bit for n, bit in _ACTIVE.items() if n in self._nvic.active)
        pending = sum(bit for n, bit in _PENDED.items() if n in self._nvic.pending)
        return self.values[SHCSR] | active | pending

    def _write_shcsr(self, value: int) -> None:
        self.values[SHCSR] = value & sum(_ENABLES.values())
        for number, bit in _PENDED.items():
            if not value & bit:
                self._nvic.pending.discard(number)
            elif number not in self._nvic.pending:
                self._nvic.pend(number)
        for number, bit in _ACTIVE.items():
            self._nvic.force_active(number, bool(value & bit))

    def _read_nvic(self, offset: int) -> int:
        if 0x010 <= offset < 0x020:
            return self._systick.read(offset - 0x010)
        if offset == 0x004:
            return (self._nvic.count - FIRST_IRQ - 1) // 32
        if 0x400 <= offset < 0x600:
            return self._priority_word(FIRST_IRQ + offset - 0x400)
        sources = {1: self._nvic.enabled, 2: self._nvic.pending, 3: set(self._nvic.active)}
        numbers = sources.get(offset >> 8, set())
        if offset >> 7 & 1 and offset >> 8 == 3:
            return 0
        first = FIRST_IRQ + (offset & 0x7F) * 8
        return sum(1 << bit for bit in range(32) if first + bit in numbers)

    def _priority_word(self, first: int) -> int:
        known = self._nvic.priorities[first : first + 4]
        return int.from_bytes(bytes(known).ljust(4, b"\0"), "little")

    def _priority(self, offset: int, value: int) -> None:
        first = 4 - SHPR1 if offset >= SHPR1 else FIRST_IRQ - 0x400
        self._nvic.set_priority(first + offset, value)

    def _write(self, offset: int, value: int, debugger: bool) -> None:
        if DHCSR <= offset <= DEMCR:
            self._write_debug(offset, value, debugger)
        elif offset < 0xD00:
            self._write_nvic(offset, value)
        elif SHPR1 <= offset < SHCSR:
            for lane in range(4):
                self._priority(offset + lane, value >> 8 * lane & 0xFF)
        else:
            self._write_scb(offset, value, debugger)

    def _write_debug(self, offset: int, value: int, debugger: bool) -> None:
        if offset == DHCSR and debugger and value >> 16 == 0xA05F:
            self._control.write_debug_control(value & 0xFFFF)
        elif offset == DCRSR and debugger:
            writing = bool(value & 1 << 16)
            sent = self._dcrdr if writing else None
            result = self._control.transfer_register(value & 0x7F, sent)
            self._dcrdr = self._dcrdr if writing else result
        elif offset == DCRDR:
            self._dcrdr = value
        elif offset == DEMCR:
            self._control.write_trace_enable(value)
            self.pend_monitor(bool(value & MON_PEND))

    def _write_nvic(self, offset: int, value: int) -> None:
        if 0x010 <= offset < 0x020:
            self._systick.write(offset - 0x010, value)
            return
        if 0x400 <= offset < 0x600:
            for lane in range(4):
                self._priority(offset + lane, value >> 8 * lane & 0xFF)
            return
        first = FIRST_IRQ + (offset & 0x7F) * 8
        numbers = [first + bit for bit in range(32) if value >> bit & 1]
        for number in numbers:
            self._change(offset >> 7, number)

    def _change(self, bank: int, number: int) -> None:
        """ISER, ICER, ISPR, ICPR by bits 8..7 of their offset."""
        if bank == 2:
            self._nvic.enable(number)
        elif bank == 3:
            self._nvic.enabled.discard(number)
        elif bank == 4:
            self._nvic.pend(number)
        elif bank == 5 and number not in self._nvic.lines:
            self._nvic.pending.discard(number)

    def _write_scb(self, offset: int, value: int, debugger: bool) -> None:
        if offset == AIRCR:
            self._write_aircr(value, debugger)
        elif offset in self._writers:
            self._writers[offset](value)
        elif MPU_TYPE <= offset <= MPU_LAST:
            self.mpu.write(offset, value)
        elif ICIALLU <= offset <= BPIALL:
            self.on_maintenance(offset, value)
        elif offset in _PLAIN or any(low <= offset < high for low, high in _PLAIN_RANGES):
            self.values[offset] = value
            if offset in (CCR, SCR, CPACR):
                self._control.checks_change()

    def _write_aircr(self, value: int, debugger: bool) -> None:
        if value >> 16 != _VECTKEY:
            return
        self._nvic.group_shift = value >> 8 & 7
        if value & 0b101:
            self._control.request_reset(debugger)

    def _write_vtor(self, value: int) -> None:
        self.values[VTOR] = value & 0xFFFFFF80

    def _clear_cfsr(self, value: int) -> None:
        self.cfsr &= ~value

    def _clear_hfsr(self, value: int) -> None:
        self.hfsr &= ~value

    def _clear_dfsr(self, value: int) -> None:
        self.dfsr &= ~value

    def _trigger(self, value: int) -> None:
        self._nvic.pend(FIRST_IRQ + (value & 0x1FF))

    def _write_icsr(self, value: int) -> None:
        sets = ((1 << 31, NMI), (1 << 28, PEND_SV), (1 << 26, SYSTICK))
        clears = ((1 << 27, PEND_SV), (1 << 25, SYSTICK))
        for bit, number in clears:
            if value & bit:
                self._nvic.pending.discard(number)
        for bit, number in sets:
            if value & bit:
                self._nvic.pend(number)
