"""The flash controller of STM32L4+: two banks of pages, doublewords of 64 bits.

ST's CMSIS device header and HAL: two aligned word stores with PG make one doubleword. Details of
PROGERR, PGAERR and SIZERR are unverified.
"""

from __future__ import annotations

from collections.abc import Callable

from farm.virtual.flash_controller import FlashController, KeyLock
from farm.virtual.hook import EdgeHook
from farm.virtual.parts import Part

BASE = 0x40022000
KEYR, SR, CR = 0x08, 0x10, 0x14
PG, PER, MER1, BKER, MER2, STRT, LOCK = 1, 1 << 1, 1 << 2, 1 << 11, 1 << 15, 1 << 16, 1 << 31
PROGERR, WRPERR, PGAERR, SIZERR, PGSERR, BSY = 1 << 3, 1 << 4, 1 << 5, 1 << 6, 1 << 7, 1 << 16
_ERRORS = 0xC3FA
_WRITABLE = 0xC704_8FFF  # the bits of CR, STRT left out
_ERASED = b"\xff" * 8


class L4Flash(FlashController):
    """Dual-bank mode, as the parts leave the factory; the halves of flash are the banks."""

    native_take = "take_l4"
    busy = ((SR, BSY),)
    failed = ((SR, WRPERR),)

    def __init__(
        self,
        part: Part,
        flash: memoryview,
        hook: EdgeHook,
        on_change: Callable[[int, int], None],
    ) -> None:
        super().__init__(BASE, part, flash, hook, on_change)
        self._cells = flash
        self._lock = KeyLock()
        self.page.on_write(KEYR, self._write_key)
        self.page.on_write(SR, self._write_status)
        self.page.on_write(CR, self._write_control)
        self.reset()

    def reset(self) -> None:
        """Registers as after a system reset."""
        super().reset()
        self._lock.reset()

    def store(self, offset: int, size: int, value: int) -> None:
        """Takes the first word of a doubleword, programs with the second, or raises an error."""
        control, word = self.page[CR], self.words[0]
        first = word.offset if word.open else None
        low = word.number(4)
        word.drop()
        if control & LOCK or not control & PG or self.page[SR] & _ERRORS:
            self.page[SR] |= PGSERR
        elif size != 4:
            self.page[SR] |= SIZERR
        elif first is None and offset % 8 == 0:
            word.open, word.offset = 1, offset
            word.fill(0, value.to_bytes(4, "little"))
        elif first is None or offset != first + 4:
            self.page[SR] |= PGAERR
        else:
            self._program_doubleword(first, low | value << 32)

    def _program_doubleword(self, offset: int, value: int) -> None:
        """Only into erased cells, but for zeros, which may always be programmed."""
        if value and self._cells[offset : offset + 8] != _ERASED:
            self.page[SR] |= PROGERR
        else:
            self.clear_bits(offset, 8, value)

    def _write_key(self, _offset: int, value: int) -> None:
        if self._lock.opens(value, bool(self.page[CR] & LOCK)):
            self.page[CR] &= ~LOCK

    def _write_status(self, _offset: int, value: int) -> None:
        self.page[SR] &= ~(value & (_ERRORS | 1))

    def _write_control(self, _offset: int, value: int) -> None:
        if self.page[CR] & LOCK:
            return
        self.page[CR] = value & _WRITABLE
        if value & STRT and self.page[SR] & _ERRORS:
            self.page[SR] |= PGSERR
        elif value & STRT:
            self._start(value)

    def _start(self, control: int) -> None:
        """Page or bank erase."""
        bank_bytes = self._part.flash_bytes // 2
        page_bytes = self._part.sectors[0].bytes
        if control & PER:
            bank = bank_bytes if control & BKER else 0
            self.erase(bank + (control >> 3 & 0xFF) * page_bytes, page_bytes)
        for bit, start in ((MER1, 0), (MER2, bank_bytes)):
            if control & bit:
                self.erase(start, bank_bytes)
