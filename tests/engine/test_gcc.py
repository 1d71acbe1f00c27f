"""arm-none-eabi-gcc builds every kernel, and they compute the reference's bits."""

import shutil

import pytest
from kernel_cases import every_case, kernel_files
from kernel_machines import ArmMachine, check

from engine import dispatch
from engine.compilers import COMPILERS, GCC_COMMAND, compiler
from engine.errors import ToolchainError
from engine.toolchain import compile_object, compiler_version

BUILDS = (("cortex-m4", "-O2"), ("cortex-m7", "-O3"), ("cortex-m4", "-Os"))
needs_gcc = pytest.mark.skipif(shutil.which(GCC_COMMAND) is None, reason=f"no {GCC_COMMAND} here")


def one_case_a_row():
    """The first of every row, the plain twins' included."""
    found = {id(case.row): case for case in reversed(every_case())}
    return [found[id(row)] for row in dispatch.KERNELS]


@needs_gcc
@pytest.mark.parametrize(("cpu", "level"), BUILDS)
def test_every_kernel_builds_without_a_warning_and_equals_the_reference(cpu, level):
    cases = one_case_a_row()
    runner = ArmMachine(cases, cpu, "gcc", (level,))
    for index, case in enumerate(cases):
        check(runner, index, case)


@needs_gcc
def test_its_version_is_named_and_its_objects_are_its_own():
    assert compiler_version("gcc").startswith(f"{GCC_COMMAND} ")
    files = kernel_files()
    headers = {name: text for name, text in files.items() if name.endswith(".h")}
    objects = {
        compile_object("add.c", files["add.c"], headers, "cortex-m4", (), name)
        for name in COMPILERS
    }
    assert len(objects) == len(COMPILERS)


def test_without_it_one_is_told_what_to_install(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _command: None)
    with pytest.raises(ToolchainError, match="gcc-arm-none-eabi"):
        compiler_version("gcc")


def test_an_unknown_compiler_is_refused_by_name():
    with pytest.raises(ToolchainError, match="'tcc', known are zig, gcc"):
        compiler("tcc")
