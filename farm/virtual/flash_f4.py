"""The flash controller of STM32F4 and F7: keys, erase, programming, option bytes.

RM0090, "Embedded flash memory", and ST's CMSIS device headers. Any store needs PG and the width
of PSIZE.
"""

from __future__ import annotations

from collections.abc import Callable

from farm.virtual.flash_controller import OPTION_KEYS, FlashController, KeyLock
from farm.virtual.hook import EdgeHook
from farm.virtual.parts import Part

BASE = 0x40023C00
KEYR, OPTKEYR, SR, CR, OPTCR = 0x04, 0x08, 0x0C, 0x10, 0x14
PG, SER, MER, STRT, LOCK = 1, 1 << 1, 1 << 2, 1 << 16, 1 << 31
OPTLOCK = 1
EOP, OPERR, WRPERR, PGAERR, PGPERR, PGSERR = 1, 1 << 1, 1 << 4, 1 << 5, 1 << 6, 1 << 7
BSY = 1 << 16
_ERRORS = 0xF0


class F4Flash(FlashController):
    """One bank; the sectors are those of the part."""

    native_take = "take_f4"
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
        self._lock = KeyLock()
        self.page.on_write(KEYR, self._write_key)
        self.page.on_write(OPTKEYR, self._write_option_key)
        self.page.on_write(SR, self._write_status)
        self.page.on_write(OPTCR, self._write_options)
        self.page.on_write(CR, self._write_control)
        self.reset()

    def reset(self) -> None:
        """Registers as after a system reset."""
        super().reset()
        self._lock.reset()
        self.page[CR] = LOCK
        self._watch_control()

    def store(self, offset: int, size: int, value: int) -> None:
        """Programs, or raises an error bit."""
        control = self.page[CR]
        if control & LOCK or not control & PG:
            self.page[SR] |= PGSERR
        elif 1 << (control >> 8 & 3) != size:
            self.page[SR] |= PGPERR
        elif offset % size:
            self.page[SR] |= PGAERR
        elif not self.page[SR] & _ERRORS:
            self.clear_bits(offset, size, value)

    def _write_key(self, _offset: int, value: int) -> None:
        if self._lock.opens(value, bool(self.page[CR] & LOCK)):
            self.page[CR] &= ~LOCK
            self._watch_control()

    def _write_option_key(self, _offset: int, value: int) -> None:
        if value == OPTION_KEYS[1]:
            self.page[OPTCR] &= ~OPTLOCK

    def _write_options(self, _offset: int, value: int) -> None:
        """Only the lock: option bytes of a virtual board do not change."""
        self.page[OPTCR] |= value & OPTLOCK

    def _write_status(self, _offset: int, value: int) -> None:
        self.page[SR] &= ~(value & (_ERRORS | EOP | OPERR))

    def _watch_control(self) -> None:
        """Unlocked and not starting anything, CR is plain; PG opens native/flash.c's fast path."""
        locked = self.page[CR] & LOCK
        self.page.on_write(CR, self._write_control, 0 if locked else STRT | LOCK | SER | MER)

    def _write_control(self, _offset: int, value: int) -> None:
        if self.page[CR] & LOCK:
            return
        if value & STRT:
            self._erase(value)
        self.page[CR] = value & ~STRT
        self._watch_control()

    def _erase(self, control: int) -> None:
        """Sector or mass erase; the number of a sector that is not there raises PGSERR."""
        number = control >> 3 & 31
        if control & MER:
            self.erase(0, self._part.flash_bytes)
        elif control & SER and number < len(self._part.sectors):
            sector = self._part.sectors[number]
            self.erase(sector.offset, sector.bytes)
        elif control & SER:
            self.page[SR] |= PGSERR
