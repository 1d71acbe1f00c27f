"""The flash controller of STM32H743: two banks with registers of their own, words of 256 bits.

RM0399, "Embedded flash memory", which is the same block. Not modelled: the error correction, so
that a word programmed twice holds the AND of both instead of failing to read; the bus error that
a wrong key raises.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from farm.virtual.flash_controller import FlashController, KeyLock
from farm.virtual.flash_state import WORD_BYTES, FlashWord, lanes
from farm.virtual.hook import EdgeHook
from farm.virtual.parts import Part

BASE = 0x52002000
BANKS = (0x000, 0x100)  # where each bank's registers begin
KEYR, CR, SR, CCR = 0x04, 0x0C, 0x10, 0x14
LOCK, PG, SER, BER, FW, START = 1, 1 << 1, 1 << 2, 1 << 3, 1 << 6, 1 << 7
BSY, WBNE = 1, 1 << 1
EOP, WRPERR, PGSERR, STRBERR, INCERR = 1 << 16, 1 << 17, 1 << 18, 1 << 19, 1 << 21
_CLEARABLE = 0x0FEF_0000
_FULL = lanes(0, WORD_BYTES)


class _BankLock(KeyLock):
    """Keys for a bank that is open shut it until the next reset."""

    def opens(self, value: int, locked: bool) -> bool:
        """Whether this write, the second of two right ones, unlocks."""
        self._dead = self._dead or not locked
        return super().opens(value, locked)

    @property
    def dead(self) -> bool:
        """Whether only a reset helps."""
        return self._dead


@dataclass
class _Bank:
    """One bank's registers, keys, and the flash word that is being filled."""

    registers: int
    start: int  # of its cells
    word: FlashWord
    lock: _BankLock = field(default_factory=_BankLock)


class H7Flash(FlashController):
    """Any store fills the write buffer; with its last byte, or FW, the word is programmed."""

    native_take = "take_h7"
    busy = ((SR, BSY), (BANKS[1] + SR, BSY))
    failed = ((SR, WRPERR), (BANKS[1] + SR, WRPERR))

    def __init__(
        self,
        part: Part,
        flash: memoryview,
        hook: EdgeHook,
        on_change: Callable[[int, int], None],
    ) -> None:
        super().__init__(BASE, part, flash, hook, on_change)
        self._bank_bytes = part.flash_bytes // 2
        self._banks = [_Bank(at, i * self._bank_bytes, self.words[i]) for i, at in enumerate(BANKS)]
        for bank in self._banks:
            self.page.on_write(bank.registers + KEYR, self._write_key)
            self.page.on_write(bank.registers + CR, self._write_control)
            self.page.on_write(bank.registers + SR, lambda _offset, _value: None)
            self.page.on_write(bank.registers + CCR, self._write_clear)
        self.reset()

    def reset(self) -> None:
        """Registers as after a system reset."""
        super().reset()
        for bank in self._banks:
            bank.lock.reset()

    def store(self, offset: int, size: int, value: int) -> None:
        """Fills the write buffer of the bank, or raises an error bit."""
        data = value.to_bytes(size, "little")
        if offset % size:  # the bus carries it byte by byte
            for at in range(min(size, self._part.flash_bytes - offset)):
                self._take(offset + at, data[at : at + 1])
        else:
            self._take(offset, data)

    def _take(self, offset: int, data: bytes) -> None:
        bank, at = self._banks[offset // self._bank_bytes], offset % WORD_BYTES
        control, status = bank.registers + CR, bank.registers + SR
        if self.page[control] & LOCK or not self.page[control] & PG:
            self.page[status] |= PGSERR
        elif self.page[status] & (PGSERR | INCERR):
            return  # neither may be pending when a word begins
        elif bank.word.open and bank.word.offset != offset - at:
            self.page[status] |= INCERR
            bank.word.drop()
        else:
            self._fill(bank, offset - at, at, data)

    def _fill(self, bank: _Bank, offset: int, at: int, data: bytes) -> None:
        """Put bytes into the buffer; the last ones of the word have it programmed."""
        status = bank.registers + SR
        if bank.word.filled & lanes(at, len(data)):
            self.page[status] |= STRBERR
        bank.word.open, bank.word.offset = 1, offset
        bank.word.fill(at, data)
        self.page[status] |= WBNE
        if bank.word.filled == _FULL:
            self._finish(bank)

    def _finish(self, bank: _Bank) -> None:
        """Program the word; what was not filled stays as it is."""
        if bank.word.open:
            self.clear_bits(bank.word.offset, WORD_BYTES, bank.word.number(WORD_BYTES))
        bank.word.drop()
        self.page[bank.registers + SR] &= ~WBNE

    def _bank_at(self, offset: int) -> _Bank:
        return self._banks[offset >= BANKS[1]]

    def _write_key(self, offset: int, value: int) -> None:
        bank = self._bank_at(offset)
        control = bank.registers + CR
        if bank.lock.opens(value, bool(self.page[control] & LOCK)):
            self.page[control] &= ~LOCK
        elif bank.lock.dead:
            self.page[control] |= LOCK

    def _write_clear(self, offset: int, value: int) -> None:
        self.page[self._bank_at(offset).registers + SR] &= ~(value & _CLEARABLE)

    def _write_control(self, offset: int, value: int) -> None:
        if self.page[offset] & LOCK:
            return
        bank = self._bank_at(offset)
        self.page[offset] = value & ~(START | FW)
        if value & FW:
            self._finish(bank)
        if value & START:
            self._start(bank, value)

    def _start(self, bank: _Bank, control: int) -> None:
        """Sector or bank erase; a bank erase goes first (unverified)."""
        if control & BER:
            self.erase(bank.start, self._bank_bytes)
        elif control & SER:
            sector_bytes = self._part.sectors[0].bytes
            self.erase(bank.start + (control >> 8 & 7) * sector_bytes, sector_bytes)
