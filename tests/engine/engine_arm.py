"""A bare emulated core that calls functions of an ELF: what a board would run."""

import io
import struct

from elftools.elf.elffile import ELFFile
from unicorn import UC_ARCH_ARM, UC_MODE_THUMB, Uc
from unicorn.arm_const import (
    UC_ARM_REG_LR,
    UC_ARM_REG_PC,
    UC_ARM_REG_R0,
    UC_ARM_REG_SP,
    UC_CPU_ARM_CORTEX_M4,
    UC_CPU_ARM_CORTEX_M7,
)

from engine.compilers import DEFAULT
from engine.toolchain import compile_object, link_elf

MODELS = {"cortex-m4": UC_CPU_ARM_CORTEX_M4, "cortex-m7": UC_CPU_ARM_CORTEX_M7}
CODE, RAM, DATA, RETURN = 0x10000, 0x2000_0000, 0x3000_0000, 0x1000
STACK = RAM + 0xFF000
SCRIPT = f"""
SECTIONS {{
  . = {CODE:#x};
  .text : {{ *(.text*) }}
  .rodata : {{ *(.rodata*) }}
  . = {RAM:#x};
  .data : {{ *(.data*) }}
  .bss : {{ *(.bss*) }}
  /DISCARD/ : {{ *(.ARM.exidx*) }}
}}
"""
# What the firmware of a board provides.
LIBRARY = """
void *__aeabi_memcpy(char *to, const char *from, unsigned count);
void *__aeabi_memcpy(char *to, const char *from, unsigned count)
{
    while (count--)
        *to++ = *from++;
    return 0;
}

void *__aeabi_memmove(char *to, const char *from, unsigned count);
void *__aeabi_memmove(char *to, const char *from, unsigned count)
{
    if (to < from)
        return __aeabi_memcpy(to, from, count);
    while (count--)
        to[count] = from[count];
    return 0;
}
"""


class Arm:
    """Functions named in `entries` stay in the image and can be called; flags: behind -O3."""

    def __init__(self, files, entries, cpu, compiler=DEFAULT, flags=()):
        headers = {name: text for name, text in files.items() if name.endswith(".h")}
        sources = {name: text for name, text in files.items() if name.endswith(".c")}
        strict = ("-Wall", "-Wextra", "-Werror", *flags)
        objects = [
            compile_object(name, text, headers, cpu, strict, compiler)
            for name, text in sources.items()
        ]
        externs = "".join(f"void {name}(void);\n" for name in entries)
        table = f"{externs}void (*const keep[])(void) = {{ {', '.join(entries)} }};\n"
        objects.append(compile_object("keep.c", table, {}, cpu, (), compiler))
        objects.append(compile_object("library.c", LIBRARY, {}, cpu, ("-fno-builtin",), compiler))
        script = SCRIPT.replace("*(.rodata*)", "KEEP(*(.rodata.keep)) *(.rodata*)")
        self.elf = ELFFile(io.BytesIO(link_elf(objects, script, entries[0], cpu, compiler)))
        symbols = self.elf.get_section_by_name(".symtab").iter_symbols()
        self.symbols = {symbol.name: symbol["st_value"] for symbol in symbols}
        self.core = Uc(UC_ARCH_ARM, UC_MODE_THUMB)
        self.core.ctl_set_cpu_model(MODELS[cpu])
        for base in (0, RAM, DATA):
            self.core.mem_map(base, 0x100000)
        for segment in self.elf.iter_segments():
            if segment["p_type"] == "PT_LOAD" and segment["p_filesz"]:
                self.core.mem_write(segment["p_vaddr"], segment.data())

    def write(self, address, data):
        self.core.mem_write(address, bytes(data))

    def read(self, address, count):
        return bytes(self.core.mem_read(address, count))

    def call(self, name, *arguments):
        """Run one function of word arguments, the fifth and later ones on the stack, to its end."""
        for index, argument in enumerate(arguments[:4]):
            self.core.reg_write(UC_ARM_REG_R0 + index, argument)
        self.write(STACK, struct.pack(f"<{len(arguments[4:])}I", *arguments[4:]))
        self.core.reg_write(UC_ARM_REG_SP, STACK)
        self.core.reg_write(UC_ARM_REG_LR, RETURN | 1)
        self.core.emu_start(self.symbols[name] | 1, RETURN, timeout=120_000_000)
        assert self.core.reg_read(UC_ARM_REG_PC) == RETURN, f"{name} did not return"

    def result(self):
        """What the last call returned, as a signed word."""
        value = self.core.reg_read(UC_ARM_REG_R0)
        return value - (1 << 32) if value >> 31 else value
