"""A virtual board with `pyocd gdbserver` in front of it, once for all tests here."""

from __future__ import annotations

import io
import os
import re
import selectors
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from engine import toolchain
from farm.image import load_segments
from farm.rack.inventory import Board, BoardType
from farm.virtual import rack

HERE = Path(__file__).parent
if str(HERE) not in sys.path:
    sys.path.append(str(HERE))  # for gdb_remote

LIMIT_S = 60.0
LINKER = """
MEMORY {
  FLASH (rx) : ORIGIN = 0x08000000, LENGTH = 512K
  RAM (rwx) : ORIGIN = 0x20000000, LENGTH = 32K
}
SECTIONS {
  .text : { KEEP(*(.vectors)) *(.text*) *(.rodata*) KEEP(*(.vectors.table)) } > FLASH
  .bss (NOLOAD) : { *(.bss*) *(COMMON) } > RAM
  /DISCARD/ : { *(.ARM.exidx*) }
}
"""


@dataclass(frozen=True)
class Debuggee:
    """The program under test: its file, what goes into flash, and where things are."""

    path: Path
    segments: list[tuple[int, bytes]]
    symbols: dict[str, int]
    sizes: dict[str, int]

    def holds(self, name: str, address: int) -> bool:
        start = self.symbols[name] & ~1
        return start <= address < start + self.sizes[name]


@dataclass(frozen=True)
class Server:
    """`pyocd gdbserver` on a port of this computer, and the program for its board."""

    port: int
    program: Debuggee


@pytest.fixture(scope="module")
def program(own_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Debuggee:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(own_cache))
        text, flags = (HERE / "debuggee.c").read_text(), ("-g2", "-O1")
        made = toolchain.compile_object("debuggee.c", text, {}, "cortex-m4", flags)
        elf = toolchain.link_elf([made], LINKER, "Reset_Handler", "cortex-m4")
    path = tmp_path_factory.mktemp("program") / "debuggee.elf"
    path.write_bytes(elf)
    table = list(ELFFile(io.BytesIO(elf)).get_section_by_name(".symtab").iter_symbols())
    symbols = {s.name: s["st_value"] for s in table}
    return Debuggee(path, load_segments(elf), symbols, {s.name: s["st_size"] for s in table})


@pytest.fixture(scope="module")
def server(
    own_cache: Path, program: Debuggee, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    board = Board("f412-g", BoardType("nucleo", "stm32f412zg", "stm32f412xg"), "virtual:TR-G412")
    state = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as patch:  # each test has a state of its own
        patch.setenv("XDG_CACHE_HOME", str(own_cache))
        patch.setenv("XDG_STATE_HOME", str(state))
        rack.up([board])
        environment = dict(os.environ)
    try:
        with gdbserver(board.probe, environment) as port:
            yield Server(port, program)
    finally:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_STATE_HOME", str(state))
            rack.down()


@contextmanager
def gdbserver(uid: str, environment: dict[str, str]) -> Iterator[int]:
    """The port of a `pyocd gdbserver` for one probe; it outlives each client."""
    command = [sys.executable, "-m", "pyocd", "gdbserver", "--persist", "--no-wait"]
    ports = ["-p", "0", "-T", "0", "-u", uid]
    quiet, piped = subprocess.DEVNULL, subprocess.PIPE
    process = subprocess.Popen(command + ports, stdout=quiet, stderr=piped, env=environment)
    try:
        yield port_of(process)
    finally:
        process.terminate()
        process.communicate(timeout=LIMIT_S)


def port_of(process: subprocess.Popen[bytes]) -> int:
    """Where it listens, from its log."""
    assert process.stderr is not None
    log, deadline = b"", time.monotonic() + LIMIT_S
    with selectors.DefaultSelector() as selector:
        selector.register(process.stderr, selectors.EVENT_READ)
        while not (found := re.search(rb"listening on port (\d+)", log)):
            assert selector.select(deadline - time.monotonic()), log
            part = os.read(process.stderr.fileno(), 65536)
            assert part, log
            log += part
    return int(found[1])
