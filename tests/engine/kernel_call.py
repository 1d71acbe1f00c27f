"""Calls of one C kernel, on the host and on emulated cores, with what its row describes.

Structs are packed in the order in which kernels.h declares their members.
"""

import ctypes
import functools
import re
from pathlib import Path

import numpy as np
from engine_arm import DATA, Arm

import engine.emit
from engine.toolchain import build_shared

KERNEL_FOLDER = Path(engine.emit.__file__).parent / "kernels"
WARNINGS = ("-Wall", "-Wextra", "-Werror")
FILL = 0x55


@functools.cache
def _files(names):
    return {name: (KERNEL_FOLDER / name).read_text() for name in names}


@functools.cache
def host(names):
    """The library of some kernel files, sanitized."""
    return ctypes.CDLL(str(build_shared(_files(names), "kernels", WARNINGS)))


@functools.cache
def arm(cpu, names, entries):
    return Arm(_files(names), entries, cpu)


@functools.cache
def members(c_type):
    """Names of the members of a struct of kernels.h, in order; pointers too."""
    text = re.sub(r"/\*.*?\*/", "", (KERNEL_FOLDER / "kernels.h").read_text(), flags=re.DOTALL)
    body = re.search(r"typedef struct \{([^}]*)\} " + c_type + ";", text)[1]
    names = [re.findall(r"(\w+)\s*[,;\[]", line + ";") for line in body.split(";")]
    return [name for line in names for name in line]


def packed(about, addresses):
    """The bytes of a struct: ints in the order of the header, `addresses` of its tables."""
    width = ctypes.sizeof(ctypes.c_void_p) if addresses and max(addresses) >> 32 else 4
    places = dict(zip((table.field for table in about.tables), addresses, strict=True))
    data = b""
    for name in members(about.c_type):
        if name in places:
            data += b"\0" * (-len(data) % width) + places[name].to_bytes(width, "little")
        else:
            numbers = re.findall(r"-?\d+", str(about.fields[name]))
            data += np.array([int(number) for number in numbers], "<i4").tobytes()
    return data


def table_bytes(about):
    """The int8 tables that a description writes as C."""
    bodies = [table.text("t").partition("{")[2] for table in about.tables]
    return [np.array(re.findall(r"-?\d+", body), int).astype(np.int8) for body in bodies]


def on_host(row, graph, x, overlap=None):
    """The kernel's output; with `overlap`, written that many bytes below the input in one array."""
    about = row.describe(graph, graph.ops[0])
    tables = table_bytes(about)
    struct = np.frombuffer(
        packed(about, [table.ctypes.data for table in tables]), np.uint8
    ).copy()  # fmt: skip
    source, out = _laid_out(graph, x, overlap)
    pointers = [ctypes.c_void_p(part.ctypes.data) for part in (struct, source, out)]
    getattr(host(row.files), row.c_name)(*pointers)
    return out.reshape(graph.tensor(graph.output).shape).copy()


def _laid_out(graph, x, overlap):
    size = graph.tensor(graph.output).size
    if overlap is None:
        return np.array(x).reshape(-1), np.full(size, FILL, np.int8)
    memory = np.full(max(size, overlap + x.size), FILL, np.int8)
    memory[overlap : overlap + x.size] = x.reshape(-1)
    return memory[overlap:], memory[:size]


def on_arm(cpu, row, graph, x, entries):
    """The kernel's output on an emulated core; `entries`: all that will be called of its files."""
    core = arm(cpu, row.files, entries)
    about = row.describe(graph, graph.ops[0])
    size = graph.tensor(graph.output).size
    places, at = [], DATA
    for data in (*table_bytes(about), x):
        core.write(at, data.tobytes())
        places.append(at)
        at = (at + data.size + 7) & ~7
    core.write(at, packed(about, places[:-1]))
    out = at + 128
    core.write(out, bytes([FILL]) * (size + 8))
    core.call(row.c_name, at, places[-1], out)
    assert core.read(out + size, 8) == bytes([FILL]) * 8, "wrote behind its output"
    return np.frombuffer(core.read(out, size), np.int8).reshape(graph.tensor(graph.output).shape)
