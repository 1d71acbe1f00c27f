"""The C functions of compiled objects: their bytes, and which others each refers to."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection
from elftools.elf.sections import Symbol

_KINDS = ("STT_FUNC", "STT_OBJECT")


@dataclass(frozen=True)
class CodePiece:
    """A function, or a constant of one. name: with its file before it where it is local."""

    name: str
    source: str
    byte_count: int
    calls: tuple[str, ...]


def code_pieces(objects: Mapping[str, bytes]) -> tuple[CodePiece, ...]:
    """Those of objects by the name of their source; each in a section of its own."""
    return tuple(piece for source in sorted(objects) for piece in _pieces(source, objects[source]))


def _pieces(source: str, data: bytes) -> Iterator[CodePiece]:
    elf = ELFFile(io.BytesIO(data))
    symbols = list(elf.get_section_by_name(".symtab").iter_symbols())
    homes = {
        s["st_shndx"]: _name(source, s)
        for s in symbols
        if s["st_info"]["type"] in _KINDS and isinstance(s["st_shndx"], int)
    }
    calls: dict[str, set[str]] = {name: set() for name in homes.values()}
    for section in elf.iter_sections():
        if isinstance(section, RelocationSection) and section["sh_info"] in homes:
            found = (symbols[r["r_info_sym"]] for r in section.iter_relocations())
            names = {homes.get(s["st_shndx"], str(s.name)) for s in found}
            calls[homes[section["sh_info"]]] |= names
    for number, name in homes.items():
        others = tuple(sorted(calls[name] - {name, ""}))
        yield CodePiece(name, source, int(elf.get_section(number)["sh_size"]), others)


def _name(source: str, symbol: Symbol) -> str:
    local = symbol["st_info"]["bind"] == "STB_LOCAL"
    return f"{source}:{symbol.name}" if local else str(symbol.name)
