"""How many instructions a program takes, and its checksum: by QEMU, and by a virtual board.

Counted is what retires before `finished`: instructions that an IT block skips are among it, those
that fault are not.
"""

from __future__ import annotations

import re
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bare_programs import Program

from farm.virtual.machine import Machine
from farm.virtual.parts import load_part

QEMU = "qemu-system-arm"
MACHINES = {"cortex-m4": "mps2-an386", "cortex-m7": "mps2-an500"}
PARTS = {"cortex-m4": "stm32f412zg", "cortex-m7": "stm32f767zi"}
LIMIT_S = 300.0
SLICES = 10_000
CHUNK_BYTES = 1 << 20
DHCSR, DCRSR, DCRDR = 0xE000EDF0, 0xE000EDF4, 0xE000EDF8
DEBUG, PC = 0xA05F0001, 15

_END = b"[Semihosting call]"
_ENTERED = b"Trace 0: "  # one instruction is about to run
_STOPPED = b"Stopped execution of TB chain before"  # and did not after all
_FAULTS = re.compile(rb"\[(?:Undefined Instruction|Data Abort|v7M (?:\w+) UsageFault)\]")


@dataclass(frozen=True)
class Outcome:
    """Instructions that retired, and the checksum."""

    instructions: int
    checksum: str


class EmulatorError(Exception):
    """A program that did not come to its end."""


def by_qemu(program: Program) -> Outcome:
    """By QEMU's log with one instruction to a translated block."""
    with TemporaryDirectory() as folder:
        image = Path(folder) / "program.elf"
        image.write_bytes(program.elf)
        command = [
            *(QEMU, "-M", MACHINES[program.core], "-kernel", str(image)),
            *("-display", "none", "-monitor", "none", "-serial", "none", "-nic", "none"),
            *("-semihosting-config", "enable=on,target=native"),
            *(*_one_by_one(), "-d", "exec,nochain,int", "-D", "/dev/stdout"),
        ]
        piped = subprocess.PIPE
        with subprocess.Popen(command, stdout=piped, stderr=piped) as process:
            limit = threading.Timer(LIMIT_S, process.kill)
            limit.start()
            try:
                instructions = _counted(process)
                _, said = process.communicate()
            finally:
                limit.cancel()
                process.kill()
    words = re.findall(rb"^[0-9a-f]{8}$", said, re.MULTILINE)
    if process.returncode or not words:
        raise EmulatorError(f"QEMU, {program.name}: {process.returncode} {said.decode()}")
    return Outcome(instructions, words[0].decode())


def _one_by_one() -> tuple[str, ...]:
    """One instruction to a translated block: the option's name before QEMU 8.1, and since."""
    told = subprocess.run([QEMU, "--help"], capture_output=True, timeout=LIMIT_S, check=True)
    old = b"-singlestep" in told.stdout
    return ("-singlestep",) if old else ("-accel", "tcg,one-insn-per-tb=on")


def _counted(process: subprocess.Popen[bytes]) -> int:
    """Instructions in the log up to the first semihosting call, which is a breakpoint itself."""
    assert process.stdout is not None
    total, line = -1, b""
    while part := process.stdout.read(CHUNK_BYTES):
        lines, newline, line = (line + part).rpartition(b"\n")
        before, end, _ = (lines + newline).partition(_END)
        total += before.count(_ENTERED) - before.count(_STOPPED) - len(_FAULTS.findall(before))
        if end:
            return total
    raise EmulatorError("QEMU's log ends before the program does")


def loaded(program: Program, native: bool = True) -> Machine:
    """A virtual board with the program in its memories, under a debugger."""
    part = load_part(PARTS[program.core])
    flash = bytearray(b"\xff" * part.flash_bytes)
    (_, vectors), *rest = program.segments
    flash[: len(vectors)] = vectors  # seen at 0, or where this part starts
    machine = Machine(part, flash, lambda _: None, native_hook=native)
    for address, data in rest:
        machine.write_block(address, data)
    machine.write(DHCSR, 4, DEBUG)
    return machine


def run_to_breakpoint(machine: Machine) -> None:
    """Run until the core halts."""
    for _ in range(SLICES):
        machine.run(1_000_000)
        if machine.state != "running":
            break
    if machine.state != "halted":
        raise EmulatorError(f"{machine.part.name}: {machine.state}")


def by_board(program: Program, native: bool = True) -> Outcome:
    """By the counter of a virtual board, which the breakpoint at `finished` halts."""
    machine = loaded(program, native)
    run_to_breakpoint(machine)
    if program_counter(machine) != program.symbol("finished"):
        raise EmulatorError(f"{machine.part.name}, {program.name}: halted before its end")
    said = machine.read_block(program.symbol("text"), 8)
    return Outcome(machine.instructions, said.decode())


def program_counter(machine: Machine) -> int:
    """Of a halted core."""
    machine.write(DCRSR, 4, PC)
    return machine.read(DCRDR, 4)
