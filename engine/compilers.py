"""Compilers for boards, as data: how each is called, and what names a core to it.

zig's clang comes from pip with the project; arm-none-eabi-gcc is used where it is installed.
"""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from engine.errors import ToolchainError

GCC_COMMAND, GCC_LINKER = "arm-none-eabi-gcc", "arm-none-eabi-ld"
VERSION_TIMEOUT_S = 10.0
# Stated, since no compiler tells an M7 with single precision, as in an STM32F746, from an M4.
_M7 = ("-DTR_CORTEX_M7=1",)


@dataclass(frozen=True)
class Compiler:
    """One row. cpus: flags that name each core; version: name and number, ToolchainError if absent.

    compile, link: commands; the linker is called itself, since drivers ignore ENTRY() or build
    libraries that nobody wants.
    """

    name: str
    compile: tuple[str, ...]
    link: tuple[str, ...]
    cpus: Mapping[str, tuple[str, ...]]
    version: Callable[[], str]


def _zig() -> tuple[str, ...]:
    """The program itself where it is found: a Python that starts it costs what a compile does."""
    found = importlib.util.find_spec("ziglang")
    folders = found.submodule_search_locations if found else None
    programs = (shutil.which("zig", path=folder) for folder in folders or ())
    program = next((program for program in programs if program), None)
    return (program,) if program else (sys.executable, "-m", "ziglang")


def _zig_version() -> str:
    try:
        return f"zig cc {importlib.metadata.version('ziglang')}"
    except importlib.metadata.PackageNotFoundError as error:
        raise ToolchainError(
            "no compiler: the package ziglang is not installed here, run `pip install ziglang`"
        ) from error


def _gcc_version() -> str:
    for command in (GCC_COMMAND, GCC_LINKER):
        if shutil.which(command) is None:
            raise ToolchainError(
                f"no {command} here: install Arm's GNU toolchain (Debian: gcc-arm-none-eabi), or "
                "take the compiler zig, which came with this package"
            )
    return f"{GCC_COMMAND} {_gcc_number(shutil.which(GCC_COMMAND) or '')}"


@functools.cache
def _gcc_number(program: str) -> str:
    done = subprocess.run(
        (program, "-dumpfullversion"),
        capture_output=True,
        text=True,
        timeout=VERSION_TIMEOUT_S,
        check=False,
    )
    if done.returncode or not done.stdout.strip():
        raise ToolchainError(f"{program} does not tell its version: {done.stderr.strip():.200}")
    return done.stdout.strip()


def _gnu(core: str, fpu: str) -> tuple[str, ...]:
    return (f"-mcpu={core}", "-mthumb", "-mfloat-abi=hard", f"-mfpu={fpu}")


COMPILERS: Mapping[str, Compiler] = {
    "zig": Compiler(
        "zig",
        (*_zig(), "cc"),
        (*_zig(), "ld.lld"),
        {
            "cortex-m4": ("-target", "thumb-freestanding-eabihf", "-mcpu=cortex_m4+vfp4d16sp"),
            "cortex-m7": (
                *("-target", "thumb-freestanding-eabihf", "-mcpu=cortex_m7+fp_armv8d16sp"),
                *_M7,
            ),
        },
        _zig_version,
    ),
    "gcc": Compiler(
        "gcc",
        (GCC_COMMAND,),
        (GCC_LINKER,),
        {
            "cortex-m4": _gnu("cortex-m4", "fpv4-sp-d16"),
            "cortex-m7": (*_gnu("cortex-m7", "fpv5-sp-d16"), *_M7),
        },
        _gcc_version,
    ),
}
"""By the name that `--compiler` takes. Single precision on both cores: no kernel computes in
floating point, and so an image runs on every part of its core."""

DEFAULT = "zig"


def compiler(name: str) -> Compiler:
    """The compiler of that name; ToolchainError lists those there are."""
    if name not in COMPILERS:
        raise ToolchainError(f"unknown compiler {name!r}, known are {', '.join(COMPILERS)}")
    return COMPILERS[name]
