"""The same inputs give the same bytes, and a failure says where it is."""

import ctypes
import io
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from engine import toolchain
from engine.compilers import COMPILERS, DEFAULT, GCC_COMMAND
from engine.errors import ToolchainError
from engine.toolchain import (
    CPUS,
    build_shared,
    compile_object,
    compiler_version,
    link_elf,
    target_flags,
)

SOURCE = (
    '#include <stdint.h>\n#include "add.h"\nint32_t add(int32_t a, int32_t b) { return a + b; }\n'
)
HEADERS = {"add.h": "int32_t add(int32_t a, int32_t b);\n"}
LOAD = """#include <stdint.h>
#include <string.h>
int32_t load(const char *from) { int32_t word; memcpy(&word, from, 4); return word; }
"""
START = """int add(int, int);
int used = 3;
void start(void) { used = add(used, 1); }
void dead(void) { used = 0; }
"""
SCRIPT = """
MEMORY {
  FLASH (rx) : ORIGIN = 0x08000000, LENGTH = 64K
  RAM (rw) : ORIGIN = 0x20000000, LENGTH = 8K
}
SECTIONS { .text : { *(.text*) } > FLASH  .data : { *(.data*) } > RAM AT > FLASH }
"""


def symbols(data):
    table = ELFFile(io.BytesIO(data)).get_section_by_name(".symtab")
    return {symbol.name for symbol in table.iter_symbols()}


def build(cpu):
    objects = [
        compile_object("add.c", SOURCE, HEADERS, cpu),
        compile_object("start.c", START, {}, cpu),
    ]
    return [path.read_bytes() for path in objects], link_elf(objects, SCRIPT, "start", cpu)


@pytest.mark.parametrize("cpu", CPUS)
def test_bytes_do_not_depend_on_the_folder(cpu, monkeypatch, tmp_path):
    results = []
    for folder in ("a", "a/much/longer/path"):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / folder))
        results.append(build(cpu))
    assert results[0] == results[1]
    assert str(tmp_path).encode() not in b"".join(results[0][0]) + results[0][1]


def test_link_drops_what_nobody_calls():
    _, elf = build("cortex-m4")
    assert {"start", "add", "used"} <= symbols(elf)
    assert "dead" not in symbols(elf)


def test_second_compile_comes_from_the_cache(empty_cache, monkeypatch):
    first = compile_object("add.c", SOURCE, HEADERS, "cortex-m4")

    def fail(*_):
        raise AssertionError("the compiler ran again")

    monkeypatch.setattr(toolchain, "_run", fail)
    assert compile_object("add.c", SOURCE, HEADERS, "cortex-m4") == first
    changed = {"add.h": HEADERS["add.h"] + "\n"}
    with pytest.raises(AssertionError, match="ran again"):
        compile_object("add.c", SOURCE, changed, "cortex-m4")


def test_flags_and_core_are_part_of_the_key(empty_cache):
    paths = {
        compile_object("add.c", SOURCE, HEADERS, cpu, flags)
        for cpu in CPUS
        for flags in ((), ("-DX=1",))
    }
    assert len(paths) == 4


def test_parallel_compiles_of_one_file_agree(empty_cache):
    with ThreadPoolExecutor(4) as pool:
        jobs = [
            pool.submit(compile_object, "add.c", SOURCE, HEADERS, "cortex-m7") for _ in range(4)
        ]
    assert len({job.result() for job in jobs}) == 1
    left = [path.name for path in (empty_cache / "tinyrack" / "objects").iterdir()]
    assert len(left) == 1


@pytest.mark.parametrize("cpu", CPUS)
def test_small_memcpy_is_a_load_not_a_call(cpu):
    names = symbols(compile_object("load.c", LOAD, {}, cpu).read_bytes())
    assert not [name for name in names if "memcpy" in name]


def test_a_broken_file_is_named_with_its_line(empty_cache):
    with pytest.raises(ToolchainError, match=r"bad\.c:2:\d+: error") as caught:
        compile_object("bad.c", "int fine;\nint broken = ;\n", {}, "cortex-m4")
    assert "bad.c" in str(caught.value).splitlines()[0]
    assert str(empty_cache) not in caught.value.log


def test_an_undefined_symbol_is_named():
    start = compile_object("start.c", START, {}, "cortex-m4")
    with pytest.raises(ToolchainError, match="undefined symbol: add"):
        link_elf([start], SCRIPT, "start", "cortex-m4")


def test_an_unknown_core_is_refused():
    with pytest.raises(ToolchainError, match=r"cortex-m0.*cortex-m4"):
        compile_object("add.c", SOURCE, HEADERS, "cortex-m0")
    with pytest.raises(ToolchainError, match="cortex-m0"):
        link_elf([], SCRIPT, "start", "cortex-m0")


@pytest.mark.parametrize("name", ["../add.c", "/tmp/add.c", "a/b.c"])
def test_a_file_name_cannot_leave_the_workspace(name):
    with pytest.raises(ToolchainError, match="plain file name"):
        compile_object(name, SOURCE, HEADERS, "cortex-m4")
    with pytest.raises(ToolchainError, match="plain file name"):
        compile_object("new.c", f"int x;//{name}\n", {name.replace(".c", ".h"): ""}, "cortex-m4")


def test_a_compiler_that_hangs_is_given_up(empty_cache, monkeypatch):
    monkeypatch.setattr(toolchain, "COMPILE_TIMEOUT_S", 0.001)
    with pytest.raises(ToolchainError, match="no answer"):
        compile_object("add.c", SOURCE, HEADERS, "cortex-m4")


def test_a_shared_library_runs_here():
    library = ctypes.CDLL(str(build_shared({"add.c": SOURCE, **HEADERS}, "adder")))
    assert library.add(20, 22) == 42


def test_version_names_compiler_and_number():
    assert compiler_version().startswith("zig cc 0.")


@pytest.mark.parametrize("compiler_name", COMPILERS)
def test_a_cortex_m7_is_stated_since_its_fpu_may_be_like_an_m4_s(compiler_name):
    kernels = Path(toolchain.__file__).parent / "kernels"
    arch = {"arch.h": (kernels / "arch.h").read_text()}
    for cpu, is_m7 in (("cortex-m4", 0), ("cortex-m7", 1)):
        flags = target_flags(cpu, compiler_name)
        assert not [flag for flag in flags if flag.endswith(("fpv5-d16", "fp_armv8d16"))]
        text = f'#include "arch.h"\n_Static_assert(TR_CORTEX_M7 == {is_m7}, "schedule");\n'
        if compiler_name == DEFAULT or shutil.which(GCC_COMMAND):
            compile_object("asked.c", text, arch, cpu, (), compiler_name)
