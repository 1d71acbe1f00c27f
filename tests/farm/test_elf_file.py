"""Anybody's ELF: for which core it is, whether it fits, and that no file can do more than fail."""

import contextlib
import struct
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine import toolchain
from farm.elf_file import ElfFile, check_runs, load_elf
from farm.errors import ImageError, InventoryError
from farm.mcus import load_mcu

M4, M7 = load_mcu("stm32f412zg"), load_mcu("stm32f767zi")
FLASH, RAM = M4.flash.base, M4.ram.base
CODE = b"\x12\x34" * 8


def elf(address=FLASH, variables=0, machine=40, at=RAM) -> bytes:
    """An ELF with CODE at an address, and so many bytes of variables in RAM."""
    head = struct.pack("<16sHHIIIIIHHHHHH", b"\x7fELF\x01\x01\x01", 2, machine, 1, address,
                       52, 0, 0x5000400, 52, 32, 2, 40, 0, 0)  # fmt: skip
    parts = struct.pack("<8I", 1, 116, address, address, len(CODE), len(CODE), 5, 4)
    parts += struct.pack("<8I", 1, 132, at, address + len(CODE), 0, variables, 6, 4)
    return head + parts + CODE


@pytest.fixture
def read(tmp_path):
    def made(data: bytes) -> ElfFile:
        path = tmp_path / "my.elf"
        path.write_bytes(data)
        return load_elf(path)

    return made


def test_an_elf_that_fits_is_taken(read):
    found = read(elf(variables=M4.ram.bytes))
    assert found.segments() == [(FLASH, CODE)]
    check_runs(found, M4)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (elf(machine=62), "my.elf is for X86_64, not for the Arm cortex-m4 of stm32f412zg"),
        (elf(address=M4.flash.end - 4), "outside the flash of stm32f412zg"),
        (elf(variables=M4.ram.bytes + 8), "262152 bytes of SRAM from 0x20000000, 8 more than"),
        (elf(at=M4.ram.end + 4, variables=8), "8 bytes of SRAM from 0x20040004, 12 more than"),
    ],
)
def test_an_elf_that_could_not_run_is_refused_with_its_reason(read, data, words):
    with pytest.raises(ImageError, match=words):
        check_runs(read(data), M4)


@pytest.mark.parametrize(("built", "mcu", "fits"), [
    ("cortex-m4", M4, True), ("cortex-m4", M7, True), ("cortex-m7", M7, True),
    ("cortex-m7", M4, False),
])  # fmt: skip
def test_the_core_is_what_the_compiler_noted(tmp_path, read, built, mcu, fits):
    data = toolchain.compile_object("a.c", "int f(void) { return 1; }", {}, built, ("-Os",))
    (tmp_path / "o").write_bytes(data.read_bytes())
    with pytest.raises(InventoryError, match="nothing in it is to be programmed"):
        load_elf(tmp_path / "o")
    found = read(linked(data, built))
    assert found.attributes["TAG_CPU_NAME"] == built
    if fits:
        check_runs(found, mcu)
    else:
        with pytest.raises(ImageError, match="built for cortex-m7, stm32f412zg has a cortex-m4"):
            check_runs(found, mcu)


def test_an_m7s_elf_is_refused_by_its_name_even_if_it_uses_no_fpu(read):
    noted = {"TAG_CPU_NAME": "cortex-m7", "TAG_CPU_ARCH": 13}
    with pytest.raises(ImageError, match="built for cortex-m7"):
        check_runs(replace(read(elf()), attributes=noted), M4)


def test_a_file_that_lacks_bytes_of_its_own_is_refused(read):
    with pytest.raises(InventoryError, match="its segments are not all in the file; build it"):
        read(elf()[:-4])
    with pytest.raises(InventoryError, match="its tables are not all in the file; build it"):
        read(elf()[:60])


def test_parts_that_lie_on_one_another_are_refused(read):
    twice = bytearray(elf())
    twice[84:116] = struct.pack("<8I", 1, 120, FLASH + 4, FLASH + 4, 8, 8, 5, 4)
    with pytest.raises(InventoryError, match="two parts of it lie at 0x8000004"):
        read(bytes(twice))


def test_a_table_of_four_billion_sections_is_not_begun(read):
    data = bytearray(elf() + struct.pack("<10I", 0, 0, 0, 0, 0, 2**32 - 1, 0, 0, 0, 0))
    data[32:36] = struct.pack("<I", len(elf()))  # e_shnum 0: the first section has their number
    with pytest.raises(InventoryError, match="its tables are not all in the file"):
        read(bytes(data))


def linked(data, core: str) -> bytes:
    script = f"ENTRY(f) SECTIONS {{ . = {FLASH:#x}; .text : {{ KEEP(*(.text*)) }} }}"
    return toolchain.link_elf([data], script, "f", core)


@settings(max_examples=150, deadline=None, derandomize=True,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(st.integers(0, len(elf()) - 1), st.integers(0, 255), st.integers(0, len(elf())))
def test_a_damaged_elf_raises_nothing_but_errors_of_the_farm(read, at, value, length):
    data = bytearray(elf())
    data[at] = value
    with contextlib.suppress(InventoryError, ImageError):
        found = read(bytes(data[: max(length, at)]))
        check_runs(found, M4)
