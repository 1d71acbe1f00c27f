"""Small C programs on an emulated microcontroller."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from elftools.elf.elffile import ELFFile

from engine import toolchain
from farm.virtual.machine import Machine
from farm.virtual.parts import load_part

DHCSR, DCRSR, DCRDR = 0xE000EDF0, 0xE000EDF4, 0xE000EDF8
LINKER = """
MEMORY {
  FLASH (rx) : ORIGIN = 0x08000000, LENGTH = 512K
  RAM (rwx) : ORIGIN = 0x20000000, LENGTH = 64K
}
SECTIONS {
  .text : { KEEP(*(.vectors)) *(.text*) *(.rodata*) } > FLASH
  .bss (NOLOAD) : { *(.bss*) *(COMMON) } > RAM
}
"""

PRELUDE = """
typedef unsigned int u32; typedef unsigned short u16; typedef unsigned char u8;
typedef signed char i8;
#define R(address) (*(volatile u32 *)(address))
#define NOINLINE __attribute__((noinline))
#define CYCCNT R(0xE0001004)
#define USART 0x40004800
#ifdef NEW_USART
#define CR1 R(USART)
#define STATUS R(USART + 0x1C)
#define RDR R(USART + 0x24)
#define TDR R(USART + 0x28)
#define UE 1
#else
#define CR1 R(USART + 0x0C)
#define STATUS R(USART)
#define RDR R(USART + 4)
#define TDR R(USART + 4)
#define UE (1 << 13)
#endif
NOINLINE void run(void);
void on_hard_fault(void); void on_svc(void); void on_pend(void); void on_tick(void);
void on_usart(void); void on_bus_fault(void); void on_usage_fault(void);
void Reset_Handler(void) {
#ifndef NO_FPU
    R(0xE000ED88) |= 0xF << 20;
    __asm volatile("dsb\\nisb");
#endif
    run();
    for (;;) __asm volatile("wfi");
}
typedef void (*handler)(void);
__attribute__((section(".vectors"), used)) const handler vectors[16 + 40] = {
    (handler)0x20010000, Reset_Handler, 0, on_hard_fault, 0, on_bus_fault, on_usage_fault,
    [11] = on_svc, [14] = on_pend, [15] = on_tick, [16 + 39] = on_usart,
};
static inline void console(void) {
    R(0x40023840) |= 1 << 18;
    (void)R(0x40023840);
    CR1 = UE | 12;
}
static inline void put(u8 c) {
    while (!(STATUS & 0x80)) ;
    TDR = c;
}
static inline void put32(u32 v) { for (int i = 0; i < 4; i++) put(v >> 8 * i); }
static inline void count_cycles(void) {
    R(0xE000EDFC) |= 1 << 24; R(0xE0001FB0) = 0xC5ACCE55; CYCCNT = 0; R(0xE0001000) |= 1;
}
"""

DEFAULTS = """
#define WEAK __attribute__((weak)) void
WEAK on_hard_fault(void) { for (;;) ; }
WEAK on_bus_fault(void) { for (;;) ; }
WEAK on_usage_fault(void) { for (;;) ; }
WEAK on_svc(void) {}
WEAK on_pend(void) {}
WEAK on_tick(void) {}
WEAK on_usart(void) {}
"""


@dataclass
class Rig:
    """One machine with a program in flash."""

    machine: Machine
    symbols: dict[str, int]
    flash: bytearray
    output: bytearray = field(default_factory=bytearray)

    def run(self, budget: int = 1_000_000, slices: int = 20_000) -> Rig:
        for _ in range(slices):
            self.machine.run(budget)
            if self.machine.idle or self.machine.state != "running":
                return self
        raise AssertionError("the program does not come to rest")

    def word(self, name: str) -> int:
        return self.machine.read(self.symbols[name], 4)

    def words(self) -> list[int]:
        data = bytes(self.output)
        return [int.from_bytes(data[i : i + 4], "little") for i in range(0, len(data), 4)]


@pytest.fixture
def build() -> Callable[..., Rig]:
    def made(
        source: str,
        part: str = "stm32f412zg",
        native: bool = True,
        seed: int = 0,
        head: str = "",
        model: str = "",
    ) -> Rig:
        known = load_part(part)
        known = replace(known, timing_model=model or known.timing_model)
        head += "#define NEW_USART\n" if known.usart.style == "new" else ""
        text = head + PRELUDE + source
        sources = (("program.c", text), ("defaults.c", DEFAULTS))
        objects = [toolchain.compile_object(n, t, {}, known.core) for n, t in sources]
        elf = toolchain.link_elf(objects, LINKER, "Reset_Handler", known.core)
        file = ELFFile(io.BytesIO(elf))
        flash = bytearray(b"\xff" * known.flash_bytes)
        for segment in file.iter_segments():
            if segment["p_type"] == "PT_LOAD" and segment["p_filesz"]:
                at = segment["p_paddr"] - known.flash_base
                flash[at : at + segment["p_filesz"]] = segment.data()
        symbols = {
            s.name: s["st_value"] for s in file.get_section_by_name(".symtab").iter_symbols()
        }
        output = bytearray()
        machine = Machine(known, flash, output.extend, ram_seed=seed, native_hook=native)
        return Rig(machine, symbols, flash, output)

    return made


class Algorithm:
    """One part's algorithm in RAM; calling a function runs it until its breakpoint."""

    def __init__(self, part: str, facts: dict[str, Any], native: bool) -> None:
        known = load_part(part)
        self.facts = facts
        self.base, self.sectors = known.flash_base, known.sectors
        self.flash = bytearray(b"\x5a" * known.flash_bytes)
        self.machine = Machine(known, self.flash, lambda _: None, native_hook=native)
        self.machine.write(DHCSR, 4, 0xA05F0003)
        code = self.facts["instructions"]
        self.machine.write_block(self.facts["load_address"], struct.pack(f"<{len(code)}I", *code))

    def call(self, name: str, *arguments: int) -> int:
        fixed = {
            9: self.facts["static_base"],
            13: self.facts["begin_stack"],
            14: self.facts["load_address"] | 1,
            15: self.facts[name],
        }
        for number, value in {**dict(enumerate(arguments)), **fixed}.items():
            self.machine.write(DCRDR, 4, value)
            self.machine.write(DCRSR, 4, number | 1 << 16)
        self.machine.write(DHCSR, 4, 0xA05F0001)
        for _ in range(1000):
            self.machine.run(1_000_000)
            if self.machine.state != "running":
                break
        assert self.machine.state == "halted"
        self.machine.write(DCRSR, 4, 0)
        return self.machine.read(DCRDR, 4)

    def program(self, address: int, data: bytes) -> int:
        buffer = self.facts["page_buffers"][0]
        self.machine.write_block(buffer, data)
        return self.call("pc_program_page", address, len(data), buffer)


@pytest.fixture
def load_algorithm() -> Callable[..., Algorithm]:
    """A flash algorithm of pyOCD's form, loaded into a fresh part."""

    def made(part: str, facts: dict[str, Any], native: bool = True) -> Algorithm:
        return Algorithm(part, facts, native)

    return made
