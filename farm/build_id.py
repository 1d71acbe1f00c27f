"""The GNU build-id of an ELF file: what debuggers and `readelf -n` know a build by."""

import struct

from elftools.elf.elffile import ELFFile

SECTION = ".note.gnu.build-id"
_HEADER = struct.Struct("<III")  # bytes of the name and of the id, kind; each padded to 4 bytes
_OWNER, _KIND = b"GNU\0", 3
_MOST_BYTES = 64


def build_id(elf: ELFFile) -> str:
    """Its hex digits, "" for a file that has none.

    Read by name: where a linker script keeps the note out of memory, some linkers forget its type.
    """
    section = elf.get_section_by_name(SECTION)
    data = section.data() if section is not None else b""
    if len(data) < _HEADER.size + len(_OWNER):
        return ""
    name_bytes, count, kind = _HEADER.unpack_from(data)
    start = _HEADER.size + len(_OWNER)
    owner = data[_HEADER.size : start]
    if (name_bytes, owner, kind) != (len(_OWNER), _OWNER, _KIND) or count > _MOST_BYTES:
        return ""
    return bytes(data[start : start + count]).hex()
