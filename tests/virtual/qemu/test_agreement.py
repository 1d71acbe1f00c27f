"""The instruction counter, without QEMU: against a hook at every instruction, and by hand."""

from __future__ import annotations

from typing import Any

import pytest
import unicorn
from bare_counts import DCRDR, DCRSR, DEBUG, DHCSR, PC, by_board, loaded, run_to_breakpoint
from bare_programs import Program, built
from unicorn import arm_const

LR, WRITE, HALT = 14, 1 << 16, 2
# As `nox -s qemu` prints them; they do not depend on the compiler.
CHECKSUMS = {"loops": "b14c0039", "exceptions": "6e06168d"}


class Counter:
    """Counts what runs in a bare emulator, instruction by instruction.

    Unicorn's hook is silent for what an IT block skips: those are added from the block's length.
    """

    def __init__(self, program: Program) -> None:
        self.total = 0
        self._waiting: list[int] = []  # the rest of the IT block
        model = {"cortex-m4": arm_const.UC_CPU_ARM_CORTEX_M4, "cortex-m7": 0}[program.core]
        self._uc = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB)
        self._uc.ctl_set_cpu_model(model or arm_const.UC_CPU_ARM_CORTEX_M7)
        for base, size in ((0x20000000, 1 << 17), (0xE000E000, 1 << 12)):
            self._uc.mem_map(base, size)
        for address, data in program.segments[1:]:
            self._uc.mem_write(address, data)
        self._uc.reg_write(arm_const.UC_ARM_REG_SP, 0x20020000)
        self._uc.hook_add(unicorn.UC_HOOK_CODE, self._instruction)
        self._end = program.symbol("finished")
        self._uc.emu_start(program.symbol("Reset_Handler") | 1, self._end)

    def _instruction(self, uc: Any, address: int, size: int, _user: Any) -> None:
        self._leave_out(address)
        self.total += address != self._end
        code = int.from_bytes(uc.mem_read(address, 2), "little")
        if code >> 8 == 0xBF and code & 15:  # IT: as many as the mask says
            self._waiting = self._following(uc, address + size, 4 - (code & -code).bit_length() + 1)

    def _leave_out(self, address: int) -> None:
        while self._waiting and self._waiting[0] != address:
            self._waiting.pop(0)
            self.total += 1
        self._waiting = self._waiting[1:]

    def _following(self, uc: Any, address: int, count: int) -> list[int]:
        found = []
        for _ in range(count):
            found.append(address)
            address += 4 if uc.mem_read(address + 1, 1)[0] >> 3 >= 0b11101 else 2
        return found


@pytest.mark.parametrize("native", [True, False])
def test_each_instruction_counts_once_also_those_that_are_skipped(native) -> None:
    program = built("loops", "cortex-m4")
    outcome = by_board(program, native)
    assert outcome.instructions == Counter(program).total
    assert outcome.checksum == CHECKSUMS["loops"]


def test_what_faults_does_not_count_and_handlers_do() -> None:
    program = built("exceptions", "cortex-m7")
    outcomes = [by_board(program, native) for native in (True, False)]
    assert outcomes[0] == outcomes[1]
    assert outcomes[0].checksum == CHECKSUMS["exceptions"]


@pytest.mark.parametrize("native", [True, False])
def test_count_is_that_of_a_loop_counted_by_hand(native) -> None:
    machine = loaded(built("known", "cortex-m4"), native)
    run_to_breakpoint(machine)
    program = built("known", "cortex-m4")
    before = machine.instructions
    registers = {0: 1000, LR: program.symbol("finished") | 1, PC: program.symbol("counted")}
    for number, value in registers.items():
        machine.write(DCRDR, 4, value)
        machine.write(DCRSR, 4, number | WRITE)
    machine.write(DHCSR, 4, DEBUG)
    run_to_breakpoint(machine)
    assert machine.instructions - before == 1 + 7 * 1000 + 2
    machine.write(DCRSR, 4, 0)
    assert machine.read(DCRDR, 4) == 5000


def test_a_single_step_counts_one() -> None:
    machine = loaded(built("known", "cortex-m4"))
    machine.write(DHCSR, 4, DEBUG | HALT)
    counts = []
    for _ in range(5):
        machine.write(DHCSR, 4, DEBUG | 4)
        counts.append(machine.instructions)
    assert counts == [1, 2, 3, 4, 5]
