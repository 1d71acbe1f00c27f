"""The Unicorn core: registers by their architectural names, exception entry and return.

Facts about Unicorn 2.1.4 that shape this file: UC_MODE_MCLASS would force a Cortex-M33, so the
model is chosen by ctl_set_cpu_model; exceptions are not emulated at all; writing XPSR switches the
banked stack pointer, so SPSEL and the pointers are written after it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

import unicorn
from unicorn import arm_const as reg

from farm.virtual.bus import BusFaultError

_MODELS = {
    "cortex-m4": reg.UC_CPU_ARM_CORTEX_M4,
    "cortex-m7": reg.UC_CPU_ARM_CORTEX_M7,
}
_GENERAL = (
    *range(reg.UC_ARM_REG_R0, reg.UC_ARM_REG_R0 + 13),
    reg.UC_ARM_REG_SP,
    reg.UC_ARM_REG_LR,
    reg.UC_ARM_REG_PC,
)
_STACKED = (*_GENERAL[:4], _GENERAL[12], reg.UC_ARM_REG_LR)
_SPECIAL = {
    16: reg.UC_ARM_REG_XPSR,
    17: reg.UC_ARM_REG_MSP,
    18: reg.UC_ARM_REG_PSP,
    33: reg.UC_ARM_REG_FPSCR,
}
_MASKS = (reg.UC_ARM_REG_PRIMASK, reg.UC_ARM_REG_BASEPRI, reg.UC_ARM_REG_FAULTMASK)
THUMB = 1 << 24
NPRIV, SPSEL, FPCA = 1, 2, 4
_BASIC, _EXTENDED = 0x20, 0x68
_ALIGNED = 1 << 9  # in the stacked xPSR: the frame was moved to a multiple of 8


@dataclass(frozen=True)
class Stacked:
    """What came of stacking: the fault, and where the frame's FP registers lie."""

    failed: BusFaultError | None
    fp_address: int


class FrameError(Exception):
    """A stacked xPSR that does not fit the mode to return to."""


class Core:
    """One Cortex-M core; `read` and `write` are the bus as exception stacking sees it.

    Their last argument tells whether the access is a privileged one.
    """

    def __init__(
        self,
        name: str,
        read: Callable[[int, int, bool], bytes],
        write: Callable[[int, bytes, bool], None],
    ) -> None:
        self.uc = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB)
        self.uc.ctl_set_cpu_model(_MODELS[name])
        self.read_frame, self.write_frame = read, write

    @property
    def pc(self) -> int:
        """The address of the next instruction."""
        return int(self.uc.reg_read(reg.UC_ARM_REG_PC))

    @pc.setter
    def pc(self, value: int) -> None:
        self.uc.reg_write(reg.UC_ARM_REG_PC, value | 1)

    @property
    def ipsr(self) -> int:
        """The number of the exception being handled; 0: thread mode."""
        return int(self.uc.reg_read(reg.UC_ARM_REG_XPSR)) & 0x1FF

    @property
    def privileged(self) -> bool:
        """Whether what runs now may do everything: a handler, or CONTROL.nPRIV is 0."""
        return bool(self.ipsr) or not self.gave_up_privilege

    @property
    def gave_up_privilege(self) -> bool:
        """Whether thread mode may not do everything (CONTROL.nPRIV)."""
        return bool(self.uc.reg_read(reg.UC_ARM_REG_CONTROL) & NPRIV)

    @property
    def thumb(self) -> bool:
        """The T bit; without it nothing can run."""
        return bool(self.uc.reg_read(reg.UC_ARM_REG_CPSR) & 1 << 5)

    @property
    def it_state(self) -> int:
        """ITSTATE: condition and rest of the IT block in which the core has stopped; 0: none."""
        xpsr = int(self.uc.reg_read(reg.UC_ARM_REG_XPSR))
        return xpsr >> 8 & 0xFC | xpsr >> 25 & 3

    @property
    def condition(self) -> int:
        """The condition under which the next instruction runs, by its number; 14: always."""
        state = self.it_state
        return state >> 4 if state & 15 else 14

    @property
    def flags(self) -> int:
        """The condition flags, in bits 31 to 28."""
        return int(self.uc.reg_read(reg.UC_ARM_REG_CPSR))

    @property
    def masks(self) -> tuple[int, int, int]:
        """PRIMASK, BASEPRI, FAULTMASK."""
        primask, basepri, faultmask = (int(self.uc.reg_read(m)) for m in _MASKS)
        return primask, basepri, faultmask

    def general(self, number: int) -> int:
        """R0 to R15."""
        return int(self.uc.reg_read(_GENERAL[number]))

    def reset(self, stack: int, entry: int) -> None:
        """Registers as after reset, with the two words of the vector table."""
        write = self.uc.reg_write
        write(reg.UC_ARM_REG_XPSR, THUMB)
        write(reg.UC_ARM_REG_CONTROL, 0)
        for mask in _MASKS:
            write(mask, 0)
        for register in _GENERAL[:13]:
            write(register, 0)
        for single in range(32):
            write(reg.UC_ARM_REG_S0 + single, 0)
        write(reg.UC_ARM_REG_FPSCR, 0)
        write(reg.UC_ARM_REG_PSP, 0)
        write(reg.UC_ARM_REG_MSP, stack & ~3)
        write(reg.UC_ARM_REG_SP, stack & ~3)
        write(reg.UC_ARM_REG_LR, 0xFFFFFFFF)
        self.pc = entry

    def debug_read(self, selector: int) -> int:
        """A register by DCRSR.REGSEL."""
        if selector < 16:
            return self.general(selector) & (0xFFFFFFFE if selector == 15 else 0xFFFFFFFF)
        if selector == 20:
            primask, basepri, faultmask = self.masks
            control = int(self.uc.reg_read(reg.UC_ARM_REG_CONTROL))
            return control << 24 | faultmask << 16 | basepri << 8 | primask
        if 64 <= selector < 96:
            return int(self.uc.reg_read(reg.UC_ARM_REG_S0 + selector - 64))
        return int(self.uc.reg_read(_SPECIAL[selector])) if selector in _SPECIAL else 0

    def debug_write(self, selector: int, value: int) -> None:
        """Set a register by DCRSR.REGSEL."""
        if selector == 15:
            self.pc = value
        elif selector < 15:
            self.uc.reg_write(_GENERAL[selector], value)
        elif selector == 20:
            self._write_masks(value)
        elif 64 <= selector < 96:
            self.uc.reg_write(reg.UC_ARM_REG_S0 + selector - 64, value)
        elif selector in _SPECIAL:
            self.uc.reg_write(_SPECIAL[selector], value)

    def _write_masks(self, value: int) -> None:
        for mask, shift in zip(_MASKS, (0, 8, 16), strict=True):
            self.uc.reg_write(mask, value >> shift & 0xFF)
        self.uc.reg_write(reg.UC_ARM_REG_CONTROL, value >> 24 & 7)

    @property
    def uses_fpu(self) -> bool:
        """Whether what runs now has values in the FP registers (CONTROL.FPCA)."""
        return bool(self.uc.reg_read(reg.UC_ARM_REG_CONTROL) & FPCA)

    def enter(self, number: int, return_to: int, extended: bool, lazy: bool) -> Stacked:
        """Stack a frame and switch to handler mode; the caller sets the PC.

        An `extended` frame has room for the FP registers; `lazy`: they are not stored yet. A frame
        that failed changes nothing else: the pointer has moved, the handler can run.
        """
        read, write = self.uc.reg_read, self.uc.reg_write
        xpsr, control = read(reg.UC_ARM_REG_XPSR), read(reg.UC_ARM_REG_CONTROL)
        frame = read(reg.UC_ARM_REG_SP) - (_EXTENDED if extended else _BASIC)
        words = [*(read(r) for r in _STACKED), return_to & ~1, xpsr | (frame & 4) << 7]
        frame = frame & 0xFFFFFFF8
        failed = self._push(frame, words + (self._fp_words() if extended and not lazy else []))
        process = not xpsr & 0x1FF and control & SPSEL
        link = (0xFFFFFFF1 if xpsr & 0x1FF else 0xFFFFFFFD if process else 0xFFFFFFF9)  # fmt: skip
        write(reg.UC_ARM_REG_XPSR, xpsr & 0xF80F0000 | THUMB | number)  # privileged from here on
        write(reg.UC_ARM_REG_PSP if process else reg.UC_ARM_REG_MSP, frame)
        write(reg.UC_ARM_REG_CONTROL, control & ~(SPSEL | FPCA))
        write(reg.UC_ARM_REG_SP, read(reg.UC_ARM_REG_MSP))
        write(reg.UC_ARM_REG_LR, link & ~0x10 if extended else link)
        return Stacked(failed, frame + _BASIC)

    def save_fp(self, address: int, privileged: bool) -> None:
        """Store S0 to S15 and FPSCR of code that an exception has interrupted; a bus fault."""
        words = self._fp_words()
        self.write_frame(address, struct.pack(f"<{len(words)}I", *words), privileged)

    def _fp_words(self) -> list[int]:
        singles = [int(self.uc.reg_read(reg.UC_ARM_REG_S0 + i)) for i in range(16)]
        return [*singles, int(self.uc.reg_read(reg.UC_ARM_REG_FPSCR))]

    def _push(self, frame: int, words: list[int]) -> BusFaultError | None:
        try:
            self.write_frame(frame, struct.pack(f"<{len(words)}I", *words), self.privileged)
        except BusFaultError as failed:
            return failed
        return None

    def switch_to_handler(self, number: int, link: int | None = None) -> None:
        """Handler mode without a frame; `link` is what the handler finds in LR."""
        control = self.uc.reg_read(reg.UC_ARM_REG_CONTROL)
        xpsr = self.uc.reg_read(reg.UC_ARM_REG_XPSR)
        self.uc.reg_write(reg.UC_ARM_REG_XPSR, xpsr & 0xF80F0000 | THUMB | number)
        if link is not None:
            self.uc.reg_write(reg.UC_ARM_REG_CONTROL, control & ~FPCA)
            self.uc.reg_write(reg.UC_ARM_REG_LR, link)

    def clear_faultmask(self) -> None:
        """What every exception return but that of NMI does."""
        self.uc.reg_write(reg.UC_ARM_REG_FAULTMASK, 0)

    def leave(self, link: int, saved: bool) -> int:
        """Unstack by the EXC_RETURN value `link`; where to go on.

        `saved`: the FP registers of an extended frame are in it, not still in their places.

        Raises a bus fault, or FrameError for a frame of the other mode; nothing is changed then.
        """
        read, write = self.uc.reg_read, self.uc.reg_write
        process, extended = link & 0xF == 0xD, not link & 0x10
        pointer = reg.UC_ARM_REG_PSP if process else reg.UC_ARM_REG_MSP
        frame = read(pointer)
        size = _EXTENDED if extended else _BASIC
        control = read(reg.UC_ARM_REG_CONTROL) & ~(SPSEL | FPCA)
        privileged = not link & 8 or not control & NPRIV
        stacked = size if extended and saved else _BASIC
        words = struct.unpack(f"<{stacked // 4}I", self.read_frame(frame, stacked, privileged))
        xpsr = words[7]
        if bool(link & 8) is bool(xpsr & 0x1FF):
            raise FrameError
        write(reg.UC_ARM_REG_CONTROL, control & ~NPRIV)  # without privilege nothing is written
        write(reg.UC_ARM_REG_XPSR, xpsr & ~_ALIGNED | THUMB)
        control |= (SPSEL if process else 0) | (FPCA if extended else 0)
        write(reg.UC_ARM_REG_CONTROL, control & ~NPRIV)
        after = frame + size | (4 if xpsr & _ALIGNED else 0)
        write(pointer, after)
        write(reg.UC_ARM_REG_SP, after)
        for register, value in zip(_STACKED, words[:6], strict=True):
            write(register, value)
        if extended and saved:
            for single in range(16):
                write(reg.UC_ARM_REG_S0 + single, words[8 + single])
            write(reg.UC_ARM_REG_FPSCR, words[24])
        if control & NPRIV:
            write(reg.UC_ARM_REG_CONTROL, control)
        return int(words[6])
