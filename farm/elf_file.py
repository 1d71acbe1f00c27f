"""Anybody's ELF file: what of it is programmed, and whether a microcontroller could run it."""

import hashlib
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from farm.build_id import build_id
from farm.errors import ImageError, InventoryError
from farm.image import load_segments
from farm.mcus import Mcu, Memory
from farm.probe import check_fits

MAX_ELF_BYTES = 64 << 20
_MOST_SEGMENTS = 256
# Addenda to the ABI of the Arm architecture, 3.3.5: Tag_CPU_arch v7, v6-M, v6S-M and v7E-M;
# Tag_FP_arch up to VFPv4-D16 is what an M4 has, an M7 also FP for Armv8 in its two forms.
_ARCHITECTURES = (10, 11, 12, 13)
_SRAM_BASE, _SRAM_SPAN = 0x20000000, 0x02000000  # up to the bit-band alias; H7: the AXI SRAM later
_FP: Mapping[str, range] = {"cortex-m4": range(7), "cortex-m7": range(9)}
_TOO_NEW: Mapping[str, tuple[str, ...]] = {"cortex-m4": ("cortex-m7",)}  # of one architecture
_MICROCONTROLLER = (0, ord("M"))  # Tag_CPU_arch_profile; 0: says nothing
_ODD = (ELFError, ValueError, IndexError, KeyError, AttributeError, TypeError, AssertionError)


@dataclass(frozen=True)
class ElfFile:
    """Only its name and the bytes that it loads mean anything to a probe.

    machine: as the ELF names it, EM_ARM for every Cortex-M; attributes: what the compiler noted
    of the core, by tag, empty where it was stripped; variables: (address, bytes) of what is in
    memory beside the file's own bytes; build_id: GNU's, "" where the linker left it out.
    """

    name: str
    sha256: str
    parts: tuple[tuple[int, bytes], ...]
    machine: str = "EM_ARM"
    attributes: Mapping[str, object] = field(default_factory=dict)
    variables: tuple[tuple[int, int], ...] = ()
    build_id: str = ""

    def segments(self) -> list[tuple[int, bytes]]:
        """(load address, bytes) of each part that is programmed."""
        return list(self.parts)


def load_elf(path: Path) -> ElfFile:
    """Read an ELF file; InventoryError when it is none, or larger than MAX_ELF_BYTES."""
    data = _read(path)
    try:
        elf = _opened(data)
        parts = tuple(load_segments(data))
        found = (str(elf["e_machine"]), _attributes(elf), _variables(elf), build_id(elf))
    except ImageError as error:
        raise InventoryError(f"{path}: {error}") from error
    except _ODD as error:
        raise InventoryError(f"{path}: a damaged ELF file: {error}; build it again") from error
    if not parts:
        raise InventoryError(f"{path}: nothing in it is to be programmed; was it linked?")
    if at := next((b for (a, held), (b, _) in pairwise(parts) if a + len(held) > b), None):
        raise InventoryError(f"{path}: two parts of it lie at {at:#x}; correct its linker script")
    return ElfFile(path.name, hashlib.sha256(data).hexdigest(), parts, *found)


def check_runs(elf: ElfFile, mcu: Mcu) -> None:
    """Raise ImageError when the ELF is for another core, or too large for flash or SRAM."""
    if elf.machine != "EM_ARM":
        raise ImageError(
            f"{elf.name} is for {elf.machine.removeprefix('EM_')}, not for the Arm {mcu.core} of "
            f"{mcu.name}; build it for that"
        )
    if not _is_of(elf.attributes, mcu.core):
        core = elf.attributes.get("TAG_CPU_NAME", "a core that this one is not")
        raise ImageError(
            f"{elf.name} was built for {core}, {mcu.name} has a {mcu.core}; build it for that"
        )
    check_fits(elf, mcu)
    for address, size in elf.variables:
        _check_variables(elf, address, size, mcu)


def _is_of(attributes: Mapping[str, object], core: str) -> bool:
    profile, fp = (attributes.get(f"TAG_{name}", 0) for name in ("CPU_ARCH_PROFILE", "FP_ARCH"))
    return (
        str(attributes.get("TAG_CPU_NAME", "")).lower() not in _TOO_NEW.get(core, ())
        and attributes.get("TAG_CPU_ARCH", _ARCHITECTURES[0]) in _ARCHITECTURES
        and profile in _MICROCONTROLLER
        and fp in _FP[core]
    )


def _check_variables(elf: ElfFile, address: int, size: int, mcu: Mcu) -> None:
    """Memories that the farm knows nothing of are the firmware's own business.

    Not so behind the first SRAM, where all that there is follows without a gap.
    """
    for memory in _joined(mcu.rams):
        begins = memory.base <= address < memory.end or address in _behind(memory)
        if begins and memory.end < address + size:
            raise ImageError(
                f"{elf.name} takes {size} bytes of SRAM from {address:#x}, "
                f"{address + size - memory.end} more than {mcu.name} has there; make it smaller"
            )


def _behind(memory: Memory) -> range:
    """Addresses behind the memory at _SRAM_BASE where none of the parts has another one."""
    return range(memory.end, _SRAM_BASE + _SRAM_SPAN) if memory.base == _SRAM_BASE else range(0)


def _joined(memories: Iterable[Memory]) -> list[Memory]:
    """Memories that follow one another without a gap, as one."""
    ordered = sorted(memories, key=lambda memory: memory.base)
    starts = [0] + [at for at, (a, b) in enumerate(pairwise(ordered), 1) if a.end != b.base]
    groups = [ordered[a:b] for a, b in pairwise([*starts, len(ordered)])]
    return [Memory(g[0].name, g[0].base, g[-1].end - g[0].base) for g in groups if g]


def _opened(data: bytes) -> ELFFile:
    """The ELF, once its tables and segments are known to be in the file: else they may be endless.

    ImageError for what is no ELF at all.
    """
    try:
        elf = ELFFile(io.BytesIO(data))
    except (ELFError, ValueError) as error:
        raise ImageError(f"not an ELF file that can be flashed: {error}") from error
    if elf["e_phnum"] > _MOST_SEGMENTS:
        raise ELFError(f"it has {elf['e_phnum']} segments, over {_MOST_SEGMENTS}")
    for table, count in (("ph", elf["e_phnum"]), ("sh", elf.num_sections())):
        entry_bytes = getattr(elf.structs, f"Elf_{table.capitalize()}dr").sizeof()
        ends = elf[f"e_{table}off"] + count * entry_bytes
        if count and (elf[f"e_{table}entsize"] != entry_bytes or ends > len(data)):
            raise ELFError("its tables are not all in the file")
    loaded = [(s["p_offset"], s["p_filesz"]) for s in elf.iter_segments("PT_LOAD")]
    held_bytes = sum(size for _, size in loaded)
    if held_bytes > len(data) or any(at + size > len(data) for at, size in loaded):
        raise ELFError("its segments are not all in the file")
    return elf


def _attributes(elf: ELFFile) -> dict[str, object]:
    section = elf.get_section_by_name(".ARM.attributes")
    if section is None or section["sh_type"] != "SHT_ARM_ATTRIBUTES":
        return {}
    return {
        attribute.tag: attribute.value
        for part in section.iter_subsections()
        for inner in part.iter_subsubsections()
        for attribute in inner.iter_attributes()
    }


def _variables(elf: ELFFile) -> tuple[tuple[int, int], ...]:
    found = ((int(s["p_vaddr"]), int(s["p_memsz"])) for s in elf.iter_segments("PT_LOAD"))
    return tuple((address, size) for address, size in found if size)


def _read(path: Path) -> bytes:
    if not path.is_file():
        what = "not a file" if path.exists() else "no such file"
        raise InventoryError(f"{path}: {what}; name an ELF file")
    if path.stat().st_size > MAX_ELF_BYTES:
        raise InventoryError(f"{path}: larger than {MAX_ELF_BYTES >> 20} MiB")
    return path.read_bytes()
