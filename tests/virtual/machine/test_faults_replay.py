"""The same faults with the same seeds make the same run, to the byte and the cycle."""

from __future__ import annotations

import struct
from collections.abc import Callable

from farm.virtual.faults_begin import BEGIN
from farm.virtual.faults_engine import FaultEngine
from farm.virtual.faults_line import Line
from farm.virtual.faults_link import ProbeState
from farm.virtual.faults_table import Fault, fault
from farm.virtual.machine import Machine
from farm.virtual.parts import load_part

PART = load_part("stm32f412zg")


def talker() -> bytes:
    """STM32F412: sends 0, 1, 2, ... on USART3 for ever, and counts at 0x20000000."""
    code = [
        0x4808, 0x2101, 0x0489, 0x6001,  # RCC.APB1ENR = 1 << 18
        0x4807, 0x4908, 0x60C1,          # USART3.CR1 = UE | TE
        0x2100, 0x2220, 0x0612,
        0x6803, 0x061B, 0xD5FC,          # until SR.TXE
        0x6041, 0x6011, 0x3101, 0xE7F8,
        0xBF00,
    ]  # fmt: skip
    literals = [0x4002_3840, 0x4000_4800, 0x2008]
    vectors = struct.pack("<2I", 0x2000_1000, 0x0800_0009)
    return vectors + struct.pack("<18H", *code) + struct.pack("<3I", *literals) + bytes(8)


def run(what: list[Fault]) -> tuple[bytes, int, str, bytes]:
    """What the console heard, the core's cycles and state, and its flash, after some slices."""
    flash = bytearray(talker().ljust(PART.flash_bytes, b"\xff"))
    heard, line = bytearray(), Line()
    engine: list[FaultEngine] = []

    def on_uart(data: bytes) -> None:
        heard.extend(line.carry("out", engine[0].sent(data)))

    machine = Machine(PART, flash, on_uart, ram_seed=1)
    engine.append(FaultEngine(machine, line, ProbeState(), BEGIN))
    engine[0].give_power = machine.power_cycle
    for each in what:
        engine[0].inject(each)
    for _ in range(6):
        engine[0].settle()
        machine.run(3_000)
    return bytes(heard), machine.cycles, machine.state, bytes(flash[:64])


def faults(seed: int) -> list[Fault]:
    make: Callable[..., Fault] = fault
    return [
        make("uart-flip", seed, chance=0.05),
        make("uart-lose", seed, chance=0.03),
        make("uart-repeat", seed, every=17),
        make("flash-rot", seed, bits=3, at=0x0800_0038, bytes=8),
        make("brown-out", seed, after=300, count="sent"),
        make("core-hang", seed, after=9_000),
    ]


def test_same_seeds_replay_the_run_and_others_do_not() -> None:
    first = run(faults(7))
    assert run(faults(7)) == first
    assert len(first[0]) > 400
    other = run(faults(8))
    assert other[0] != first[0]
    assert other[3] != first[3]
    clean = run([])
    assert clean[0][:200] == bytes(range(200))
    assert first[0][:200] != clean[0][:200]
