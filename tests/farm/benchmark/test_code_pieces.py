"""Functions of objects: their bytes and calls; and assembly that stays aligned."""

import io

import pytest
from elftools.elf.elffile import ELFFile

from engine.emit import KERNEL_FOLDER
from engine.selection import SMALL_FLAGS
from engine.toolchain import compile_object
from farm.benchmark.code_pieces import code_pieces

TEXT = """
static __attribute__((noinline)) int inner(int x) { return x * x + 3; }
int tr_outer(int x);
int tr_other(int x);
int tr_outer(int x) { return inner(x) + inner(x + 1) + tr_other(x); }
"""


def test_a_function_has_its_bytes_and_those_that_it_calls():
    made = compile_object("a.c", TEXT, {}, "cortex-m4").read_bytes()
    pieces = {piece.name: piece for piece in code_pieces({"a.c": made})}
    assert pieces["tr_outer"].calls == ("a.c:inner", "tr_other")
    assert pieces["a.c:inner"].calls == ()
    assert 4 <= pieces["a.c:inner"].byte_count <= 12
    assert {piece.source for piece in pieces.values()} == {"a.c"}


@pytest.mark.parametrize("name", ["tile.c", "dense.c"])
def test_assembly_that_counts_from_its_own_address_is_aligned_when_compiled_for_size(name):
    headers = {path.name: path.read_text() for path in KERNEL_FOLDER.glob("*.h")}
    text = (KERNEL_FOLDER / name).read_text()
    made = compile_object(name, text, headers, "cortex-m4", SMALL_FLAGS).read_bytes()
    sections = [s for s in ELFFile(io.BytesIO(made)).iter_sections() if s.name[:9] == ".text.tr_"]
    assembly = [s for s in sections if s.name[9:].startswith(("tile", "sixes"))]
    assert len(assembly) >= 4
    assert all(section["sh_addralign"] >= 4 for section in assembly)
