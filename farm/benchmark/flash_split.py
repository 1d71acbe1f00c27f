"""What lies in the flash of an image: the network's code, its constants, and everything else."""

from __future__ import annotations

import io
from collections.abc import Container
from dataclasses import dataclass

from elftools.elf.elffile import ELFFile

from farm.image import Image

_OURS = ("tr_", "tinyrack_")  # how global names of a network begin


@dataclass(frozen=True)
class FlashSplit:
    """Bytes: code of kernels and model; constants: weights and tables; harness: the rest.

    The rest is the bench's own code, start-up, the C library's stand-in and what has no symbol.
    """

    code_bytes: int
    constant_bytes: int
    harness_bytes: int


def flash_split(image: Image, sources: Container[str]) -> FlashSplit:
    """By the symbols of the ELF. sources: names of the network's own C files."""
    sums = {"STT_FUNC": 0, "STT_OBJECT": 0}
    elf = ELFFile(io.BytesIO(image.elf))
    spans = [(start, start + len(data)) for start, data in image.segments()]
    in_network, seen = False, set()
    for symbol in elf.get_section_by_name(".symtab").iter_symbols():
        kind, address = symbol["st_info"]["type"], int(symbol["st_value"])
        if kind == "STT_FILE":
            in_network = symbol.name in sources
        local = symbol["st_info"]["bind"] == "STB_LOCAL"
        ours = in_network if local else symbol.name.startswith(_OURS)
        held = any(low <= address & ~1 < high for low, high in spans)
        if kind in sums and ours and held and address not in seen:
            seen.add(address)  # a function may have several names
            sums[kind] += int(symbol["st_size"])
    code, constants = sums["STT_FUNC"], sums["STT_OBJECT"]
    return FlashSplit(code, constants, image.flash_bytes - code - constants)
