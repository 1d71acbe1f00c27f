"""Each kernel, fast and plain, on the host and on emulated cores, gives the reference's bits."""

import collections
import ctypes
import functools
import struct

import numpy as np
import pytest
from engine_arm import DATA, Arm
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_cases import LEAST, every_case, kernel_files
from kernel_machines import MACHINES, check, machine

from engine import dispatch
from engine.host import WARNING_FLAGS
from engine.numerics import divide_by_pot, high_mul
from engine.shapes import OP_KINDS
from engine.toolchain import build_shared

NAMES = list(dict.fromkeys(row.c_name for row in dispatch.KERNELS))
ROUND_C = """
#include "scale.h"
int32_t round_fast(int32_t acc, const tr_channel *channel, int32_t zero);
int32_t round_plain(int32_t acc, const tr_channel *channel, int32_t zero);
int32_t round_fast(int32_t acc, const tr_channel *channel, int32_t zero)
{
    (void)zero;
    return tr_output(channel, acc);
}
int32_t round_plain(int32_t acc, const tr_channel *channel, int32_t zero)
{
    return tr_clamped(tr_requantize(acc, channel->multiplier, channel->shift) + zero, -128, 127);
}
"""


@functools.cache
def machine_of(name):
    return machine(name, every_case())


@pytest.mark.parametrize("machine_name", MACHINES)
@pytest.mark.parametrize("name", NAMES)
def test_kernels_equal_the_reference(name, machine_name):
    """Apart from their inputs, and over those of which the planner may take the memory."""
    runner = machine_of(machine_name)
    for index, case in enumerate(every_case()):
        if case.row.c_name == name:
            check(runner, index, case)


@pytest.mark.parametrize("row", dispatch.KERNELS, ids=lambda row: f"{row.c_name} of {row.kind}")
def test_every_row_is_reached_by_generated_operators(row):
    reached = [case for case in every_case() if case.row is row]
    assert len(reached) >= LEAST


@pytest.mark.parametrize("row", dispatch.KERNELS, ids=lambda row: f"{row.c_name} of {row.kind}")
def test_every_row_that_can_share_memory_does(row):
    cases = [case for case in every_case() if case.row is row]
    leads = [row.lead_bytes(case.graph, case.op) for case in cases]
    if any(lead is not None for lead in leads):
        assert any(case.overlaps for case in cases)


def test_every_kind_has_kernels_and_a_plain_twin_that_takes_all_of_it():
    assert {row.kind for row in dispatch.KERNELS} == set(OP_KINDS)
    for case in every_case():
        dispatch.choose(case.graph, case.op, plain=True)


def test_described_bytes_are_what_the_compiler_made():
    made = collections.Counter()
    for symbol in machine_of("cortex-m4").core.elf.get_section_by_name(".symtab").iter_symbols():
        made[symbol.name.partition("_")[0]] += symbol["st_size"]
    for index, case in enumerate(every_case()):
        pointers = 4 * len(case.sources) * case.row.packs_inputs  # the emitter makes them
        about = case.row.describe(case.graph, case.op)
        assert made[f"c{index}"] + pointers == about.const_bytes, case.row.c_name


@functools.cache
def rounding():
    """tr_output and tr_requantize as functions, on the host and on a core."""
    headers = {name: text for name, text in kernel_files().items() if name.endswith(".h")}
    files = {**headers, "round.c": ROUND_C}
    library = ctypes.CDLL(str(build_shared(files, "round", WARNING_FLAGS)))
    return library, Arm(files, ["round_fast", "round_plain"], "cortex-m4")


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    st.integers(-(1 << 30) + 1, (1 << 30) - 1),
    st.integers(1 << 30, (1 << 31) - 1),
    st.integers(1, 22),
    st.integers(-128, 127),
    st.integers(-200, 200),
)
def test_fast_rounding_is_the_double_rounding(acc, multiplier, shift, zero, wanted):
    """Near the values where an output steps, and anywhere."""
    near = round((wanted - zero - 0.5) * 2.0 ** (31 + shift) / multiplier)
    addend = (zero << shift) + (1 << (shift - 1))
    channel = struct.pack("<4i", 0, multiplier, shift, addend)
    block = np.frombuffer(channel, np.uint8).copy()
    host, core = rounding()
    core.write(DATA, channel)
    for value in {acc, *range(near - 2, near + 3)}:
        if abs(value) >= 1 << 30:
            continue
        exact = int(np.clip(divide_by_pot(high_mul(value, multiplier), shift) + zero, -128, 127))
        arguments = (value, ctypes.c_void_p(block.ctypes.data), zero)
        assert host.round_fast(*arguments) == exact
        assert host.round_plain(*arguments) == exact
        core.call("round_fast", value & 0xFFFF_FFFF, DATA, zero & 0xFFFF_FFFF)
        assert core.result() == exact
