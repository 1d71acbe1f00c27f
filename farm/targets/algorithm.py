"""Flash algorithms for pyOCD: the C files beside this one, built for where they are loaded."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from elftools.elf.elffile import ELFFile

from engine import toolchain

_NAMES = {
    "pc_init": "algorithm_init",
    "pc_unInit": "algorithm_uninit",
    "pc_eraseAll": "algorithm_erase_all",
    "pc_erase_sector": "algorithm_erase_sector",
    "pc_program_page": "algorithm_program_page",
}
_RETURN = 0xBE00BE00  # two breakpoints at the start: where every function returns to
_CODE_BYTES, _STACK_BYTES = 0x800, 0x800
_SCRIPT = """
SECTIONS {
    . = 4;
    .text : { KEEP(*(.text.algorithm_*)) *(.text .text.*) *(.rodata .rodata.*) }
    .data : { *(.data .data.*) *(.bss .bss.* COMMON) }
    ASSERT(SIZEOF(.data) == 0, "an algorithm has no memory of its own")
    /DISCARD/ : { *(.ARM.exidx* .ARM.extab* .comment .ARM.attributes) }
}
"""


@dataclass(frozen=True)
class Blob:
    """Position-independent code: its bytes, and the offset of each function that pyOCD calls."""

    code: bytes
    entries: dict[str, int]


@cache
def build_blob(family: str, cpu: str) -> Blob:
    """The algorithm <family>.c for a core, from the compiler's cache when it is there.

    Raises ToolchainError when it does not build.
    """
    folder = Path(__file__).parent
    headers = {"algorithm.h": (folder / "algorithm.h").read_text(encoding="utf-8")}
    text = (folder / f"{family}.c").read_text(encoding="utf-8")
    made = toolchain.compile_object(f"{family}.c", text, headers, cpu, ("-Os",))
    file = ELFFile(io.BytesIO(toolchain.link_elf([made], _SCRIPT, "algorithm_init", cpu)))
    text_section = file.get_section_by_name(".text")
    code = struct.pack("<I", _RETURN).ljust(text_section["sh_addr"], b"\0") + text_section.data()
    symbols = file.get_section_by_name(".symtab")
    at = {name: symbols.get_symbol_by_name(symbol)[0] for name, symbol in _NAMES.items()}
    return Blob(code, {name: symbol["st_value"] & ~1 for name, symbol in at.items()})


def flash_algorithm(family: str, cpu: str, ram: int, page_bytes: int) -> dict[str, Any]:
    """What pyOCD calls a flash algorithm, loaded at `ram`: code, stack, then two page buffers.

    It reports the controller's errors, but pyOCD reads nothing back: whoever uses it does.
    """
    blob = build_blob(family, cpu)
    size = len(blob.code) + 3 & ~3
    buffers = ram + _CODE_BYTES + _STACK_BYTES
    return {
        "load_address": ram,
        "instructions": list(struct.unpack(f"<{size // 4}I", blob.code.ljust(size, b"\0"))),
        **{name: ram + offset for name, offset in blob.entries.items()},
        "static_base": ram + _CODE_BYTES,
        "begin_stack": buffers,
        "end_stack": ram + _CODE_BYTES,
        "begin_data": buffers,
        "page_size": page_bytes,
        "analyzer_supported": False,
        "analyzer_address": 0,
        "page_buffers": [buffers, buffers + page_bytes],
        "min_program_length": page_bytes,
    }
