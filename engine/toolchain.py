"""Objects, ELF images and host libraries, by the clang that comes with ``ziglang`` from pip.

Outputs depend on the inputs alone: every compiler runs in a private directory on relative names,
without debug information. Objects and libraries are kept in a content-addressed cache.
"""

import functools
import hashlib
import importlib.metadata
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from engine.errors import ToolchainError
from engine.object_cache import find, keep, workspace

CPUS: Mapping[str, tuple[str, ...]] = {
    "cortex-m4": ("-target", "thumb-freestanding-eabihf", "-mcpu=cortex_m4+vfp4d16sp"),
    "cortex-m7": ("-target", "thumb-freestanding-eabihf", "-mcpu=cortex_m7+fp_armv8d16"),
}
"""Compiler flags that name the core; single precision FPU on M4, double on M7."""

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


def compiler_version() -> str:
    """Name and version of the compiler, e.g. ``zig cc 0.17.1``. Raises ToolchainError."""
    try:
        return f"zig cc {importlib.metadata.version('ziglang')}"
    except importlib.metadata.PackageNotFoundError as error:
        raise ToolchainError(
            "no compiler: the package ziglang is not installed here, run `pip install ziglang`"
        ) from error


def compile_object(
    source_name: str,
    source_text: str,
    headers: Mapping[str, str],
    cpu: str,
    flags: tuple[str, ...] = (),
) -> Path:
    """Path of the cached object of one C (or .S) file for a core of CPUS.

    headers: file name -> text, found by ``#include "name"``. Raises ToolchainError with the
    compiler's first lines.
    """
    if cpu not in CPUS:
        raise ToolchainError(f"{source_name}: unknown core {cpu!r}, known are {', '.join(CPUS)}")
    return _object(source_name, source_text, headers, (*CPUS[cpu], *TARGET_FLAGS), flags)


def link_elf(objects: Sequence[Path], linker_script: str, entry: str, cpu: str) -> bytes:
    """The ELF that the objects make under a linker script, dead sections dropped.

    No library is linked, not even the compiler's own. Raises ToolchainError.
    """
    if cpu not in CPUS:
        raise ToolchainError(f"link: unknown core {cpu!r}, known are {', '.join(CPUS)}")
    with tempfile.TemporaryDirectory(prefix="tinyrack-link-") as folder:
        work = Path(folder)
        (work / "link.ld").write_text(linker_script, encoding="utf-8")
        # The linker itself, not the driver: the driver ignores ENTRY() and builds compiler-rt.
        _zig(
            "the link",
            work,
            "ld.lld",
            "--gc-sections",
            "--build-id=none",
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
    objects = [_object(file, text, headers, HOST_FLAGS, flags) for file, text in sources.items()]
    key = _digest("shared", compiler_version(), name, *(path.name for path in objects))
    with _explained(f"{name}.so"):
        library = find(f"{key}.so")
        if library is None:
            with workspace() as folder:
                _zig(f"{name}.so", Path(folder), *_share_arguments(objects))
                library = keep(Path(folder) / "out.so", f"{key}.so")
        return library


def _share_arguments(objects: Sequence[Path]) -> tuple[str, ...]:
    link = ("cc", "-shared", "-nostdlib", "-g0", "-o", "out.so")
    return (*link, *(str(path.resolve()) for path in objects))


def _object(
    name: str,
    text: str,
    headers: Mapping[str, str],
    machine_flags: tuple[str, ...],
    flags: tuple[str, ...],
) -> Path:
    """The cached object; a file that appears meanwhile through another process is as good."""
    if Path(name).name != name:
        raise ToolchainError(f"{name!r} is not a plain file name")
    every_flag = (*machine_flags, *COMMON_FLAGS, *flags)
    seen = [part for pair in sorted(headers.items()) for part in pair]
    host = sysconfig.get_platform() if machine_flags is HOST_FLAGS else ""
    key = _digest(
        "object", compiler_version(), host, *every_flag, "|", name, text, _stub_text(), *seen
    )
    with _explained(name):
        path = find(f"{key}.o")
        if path is None:
            with workspace() as folder:
                _compile(Path(folder), name, {**headers, name: text}, every_flag)
                path = keep(Path(folder) / "out.o", f"{key}.o")
        return path


def _compile(work: Path, name: str, files: Mapping[str, str], flags: Sequence[str]) -> None:
    for file, text in files.items():
        if Path(file).name != file:
            raise ToolchainError(f"{file!r} is not a plain file name")
        (work / file).write_text(text, encoding="utf-8")
    stub: tuple[str, ...] = ()
    if "-fhosted" in flags:
        (work / "stub").mkdir()
        (work / "stub" / "string.h").write_text(_stub_text(), encoding="utf-8")
        stub = ("-isystem", "stub")
    _zig(name, work, "cc", *flags, *stub, "-I.", "-c", name, "-o", "out.o")


def _zig(what: str, work: Path, *arguments: str) -> None:
    """Run one zig tool in ``work``; ToolchainError carries what it printed."""
    command = [sys.executable, "-m", "ziglang", *arguments]
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
