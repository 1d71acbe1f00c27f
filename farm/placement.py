"""Where an image lies in the memories of a microcontroller: the fastest that has room for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from farm.mcus import Mcu, Memory

STACK, CODE = ".stack", ".hot_code"
DATA = (".data", ".bss", ".bench")


@dataclass(frozen=True)
class Placement:
    """stack: at the bottom of its memory; data: network, harness and bench; code: the kernels.

    data None: behind the stack; code None: kernels run from flash.
    """

    stack: Memory
    data: Memory | None
    code: Memory | None

    def marks(self, mcu: Mcu) -> Mapping[str, str]:
        """What the linker script leaves open -> its text."""
        return {
            "@FLASH_BASE@": f"{mcu.flash.base:#010x}",
            "@STACK_BASE@": f"{self.stack.base:#010x}",
            "@STACK_BYTES@": str(mcu.stack_bytes),
            "@DATA_BASE@": f"{self.data.base:#010x}" if self.data else ".",
            "@CODE_BASE@": f"{self.code.base:#010x}" if self.code else "hot_load",
            "@HOT_CODE@": "*(.text.tr_*)" if self.code else "",
        }

    def was_used(self, addresses: Mapping[str, int]) -> bool:
        """Whether sections at these addresses were laid out so."""
        at_data, at_code = addresses.get(".data", 0), addresses.get(CODE, 0)
        data = self.data or self.stack
        return data.base <= at_data < data.end and (
            self.code is None or self.code.base <= at_code < self.code.end
        )

    def excess(self, sections: Mapping[str, int]) -> tuple[int, Memory] | None:
        """Bytes needed of the first memory that is too small, and that memory; None if all fits."""
        data = sum(sections.get(name, 0) for name in DATA)
        stack, code = sections.get(STACK, 0), sections.get(CODE, 0)
        needs = [(stack, self.stack), (data, self.data)]
        if self.data is None:
            needs = [(stack + data, self.stack)]
        for needed, memory in (*needs, (code, self.code)):
            if memory is not None and needed > memory.bytes:
                return needed, memory
        return None


def placements(mcu: Mcu) -> tuple[Placement, ...]:
    """The ways to lay out an image, the best first; the last has the most room for data."""
    stack = mcu.fast_ram or mcu.ram
    datas = (None, mcu.ram) if mcu.fast_ram else (None,)
    codes = (mcu.code_ram, None) if mcu.code_ram else (None,)
    return tuple(Placement(stack, data, code) for data in datas for code in codes)
