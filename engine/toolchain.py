"""Objects, ELF images and host libraries, by a compiler of ``engine/compilers.py``.

The clang that comes with ``ziglang`` from pip is the default, and the only one for the host.
Outputs depend on the inputs alone: every compiler runs in a private directory on relative names,
without debug information. Objects and libraries are kept in a content-addressed cache.
"""

import functools
import hashlib
import subprocess
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from engine.compilers import COMPILERS, DEFAULT, Compiler, compiler
from engine.errors import ToolchainError
from engine.includes import included
from engine.object_cache import find, keep, workspace

BUILD_ID = ".note.gnu.build-id"
CPUS: Mapping[str, tuple[str, ...]] = COMPILERS[DEFAULT].cpus
"""Flags of the default compiler that name the core."""

COMMON_FLAGS = (
    "-std=c11",
    "-O3",
    "-g0",
    "-fomit-frame-pointer",
    "-fno-sanitize=undefined",
    "-fno-stack-protector",
    "-ffunction-sections",
    "-fdata-sections",
)
# -fhosted: freestanding implies -fno-builtin, which turns a four-byte memcpy into a call.
TARGET_FLAGS = ("-fhosted", "-fno-unwind-tables", "-fno-asynchronous-unwind-tables")
HOST_FLAGS = ("-fPIC",)

COMPILE_TIMEOUT_S = 120.0
SHOWN_LINES = 12


def compiler_version(compiler_name: str = DEFAULT) -> str:
    """Name and version of a compiler, e.g. ``zig cc 0.17.1``. Raises ToolchainError."""
    return compiler(compiler_name).version()


def target_flags(cpu: str, compiler_name: str = DEFAULT) -> tuple[str, ...]:
    """Every flag of an object for a core, but for a file's own. Raises ToolchainError."""
    cpus = compiler(compiler_name).cpus
    if cpu not in cpus:
        raise ToolchainError(f"unknown core {cpu!r}, known are {', '.join(cpus)}")
    return (*cpus[cpu], *COMMON_FLAGS, *TARGET_FLAGS)


def compile_object(
    source_name: str,
    source_text: str,
    headers: Mapping[str, str],
    cpu: str,
    flags: tuple[str, ...] = (),
    compiler_name: str = DEFAULT,
) -> Path:
    """Path of the cached object of one C (or .S) file for a core of CPUS.

    headers: file name -> text, found by ``#include "name"``; those that are not included make no
    difference. Raises ToolchainError with the compiler's first lines.
    """
    every_flag = (*target_flags(cpu, compiler_name), *flags)
    return _object(compiler(compiler_name), source_name, source_text, headers, every_flag)


def link_elf(
    objects: Sequence[Path],
    linker_script: str,
    entry: str,
    cpu: str,
    compiler_name: str = DEFAULT,
) -> bytes:
    """The ELF that the objects make under a linker script, dead sections dropped.

    It has a build-id if the script says where that goes.
    No library is linked, not even the compiler's own. Raises ToolchainError.
    """
    target_flags(cpu, compiler_name)  # refuses what is unknown
    with tempfile.TemporaryDirectory(prefix="tinyrack-link-") as folder:
        work = Path(folder)
        (work / "link.ld").write_text(linker_script, encoding="utf-8")
        _run(
            "the link",
            work,
            *compiler(compiler_name).link,
            "--gc-sections",
            f"--build-id={'sha1' if BUILD_ID in linker_script else 'none'}",
            "-zmax-page-size=32",  # no pages on these machines, so no holes in the file
            f"--entry={entry}",
            "-T",
            "link.ld",
            "-o",
            "out.elf",
            *(str(path.resolve()) for path in objects),
        )
        return (work / "out.elf").read_bytes()


def build_shared(files: Mapping[str, str], name: str, flags: tuple[str, ...] = ()) -> Path:
    """Path of the cached host library (for ctypes) made of the .c files of ``files``.

    Not linked to libc: what is undefined is found in the process that loads it. Raises
    ToolchainError.
    """
    headers = {file: text for file, text in files.items() if not file.endswith(".c")}
    sources = {file: text for file, text in files.items() if file.endswith(".c")}
    zig, every_flag = COMPILERS[DEFAULT], (*HOST_FLAGS, *COMMON_FLAGS, *flags)
    objects = [_object(zig, file, text, headers, every_flag) for file, text in sources.items()]
    key = _digest("shared", compiler_version(), name, *(path.name for path in objects))
    with _explained(f"{name}.so"):
        library = find(f"{key}.so")
        if library is None:
            with workspace() as folder:
                _run(f"{name}.so", Path(folder), *zig.compile, *_share_arguments(objects))
                library = keep(Path(folder) / "out.so", f"{key}.so")
        return library


def _share_arguments(objects: Sequence[Path]) -> tuple[str, ...]:
    link = ("-shared", "-nostdlib", "-g0", "-o", "out.so")
    return (*link, *(str(path.resolve()) for path in objects))


def _object(
    by: Compiler, name: str, text: str, headers: Mapping[str, str], flags: tuple[str, ...]
) -> Path:
    """The cached object; a file that appears meanwhile through another process is as good."""
    for file in (name, *headers):
        if Path(file).name != file:
            raise ToolchainError(f"{file!r} is not a plain file name")
    read = included(text, headers)
    seen = [part for pair in sorted(read.items()) for part in pair]
    host = sysconfig.get_platform() if HOST_FLAGS[0] in flags else ""
    key = _digest("object", by.version(), host, *flags, "|", name, text, _stub_text(), *seen)
    with _explained(name):
        path = find(f"{key}.o")
        if path is None:
            with workspace() as folder:
                _compile(by, Path(folder), name, {**read, name: text}, flags)
                path = keep(Path(folder) / "out.o", f"{key}.o")
        return path


def _compile(
    by: Compiler, work: Path, name: str, files: Mapping[str, str], flags: Sequence[str]
) -> None:
    for file, text in files.items():
        (work / file).write_text(text, encoding="utf-8")
    stub: tuple[str, ...] = ()
    if "-fhosted" in flags:
        (work / "stub").mkdir()
        (work / "stub" / "string.h").write_text(_stub_text(), encoding="utf-8")
        stub = ("-isystem", "stub")
    _run(name, work, *by.compile, *flags, *stub, "-I.", "-c", name, "-o", "out.o")


def _run(what: str, work: Path, *command: str) -> None:
    """Run one tool in ``work``; ToolchainError carries what it printed."""
    try:
        done = subprocess.run(
            command, cwd=work, capture_output=True, timeout=COMPILE_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ToolchainError(
            f"{what}: the compiler gave no answer in {COMPILE_TIMEOUT_S:.0f} s, try again"
        ) from error
    if done.returncode != 0:
        log = (done.stdout + done.stderr).decode("utf-8", "replace").strip()
        shown = "\n".join(log.splitlines()[:SHOWN_LINES])
        raise ToolchainError(f"{what} did not build (exit code {done.returncode}):\n{shown}", log)


@contextmanager
def _explained(what: str) -> Iterator[None]:
    """A cache that cannot be used, as a ToolchainError."""
    try:
        yield
    except OSError as error:
        raise ToolchainError(
            f"{what} did not build: the cache of compiled files cannot be used ({error}), "
            "make room or give XDG_CACHE_HOME a folder that can be written"
        ) from error


@functools.cache
def _stub_text() -> str:
    return (Path(__file__).parent / "kernels" / "stub" / "string.h").read_text(encoding="utf-8")


def _digest(*parts: str) -> str:
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8")
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()[:40]
