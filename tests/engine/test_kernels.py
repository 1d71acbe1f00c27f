"""Each kernel, fast and plain, on the host and on emulated cores, gives the reference's bits."""

import ctypes
import functools
import re
import struct
from pathlib import Path

import numpy as np
import pytest
from engine_arm import DATA, Arm
from engine_nets import inputs_for, one_operator
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import engine.emit
from engine import dispatch, reference
from engine.graph import Graph, Op, Quant, Tensor
from engine.numerics import divide_by_pot, high_mul
from engine.tables import channel_columns, sorted_inputs, weight_rows
from engine.toolchain import build_shared

KERNEL_FOLDER = Path(engine.emit.__file__).parent / "kernels"
NAMES = [row.c_name for row in dispatch.KERNELS]
KINDS = ("conv2d", "pointwise", "depthwise_conv2d", "fully_connected", "average_pool2d", "add")
ORDERS = {
    "tr_conv": "in_h in_w in_c out_h out_w out_c kernel_h kernel_w stride_h stride_w "
    "dilation_h dilation_w pad_top pad_left in_zero out_zero clamp_min clamp_max",
    "tr_pool": "in_h in_w channels out_h out_w kernel_h kernel_w stride_h stride_w pad_top "
    "pad_left clamp_min clamp_max",
    "tr_sum": "size zero_a zero_b out_zero factor_a factor_b factor_out clamp_min clamp_max",
}
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
LIGHT = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)


@functools.cache
def kernel_files():
    files = {path.name: path.read_text() for path in KERNEL_FOLDER.glob("*.[ch]")}
    return {**files, "round.c": ROUND_C}


@functools.cache
def host():
    return ctypes.CDLL(
        str(build_shared(kernel_files(), "kernels", ("-Wall", "-Wextra", "-Werror")))
    )


@functools.cache
def arm(cpu):
    return Arm(kernel_files(), [*NAMES, "round_fast", "round_plain"], cpu)


def words(graph, op):
    """The leading int32 fields of the operator's struct, in order."""
    about = dispatch.choose(graph, op).describe(graph, op)
    text = " ".join(str(about.fields[name]) for name in ORDERS[about.c_type].split())
    return [int(number) for number in re.findall(r"-?\d+", text)]


def tables(graph, op):
    """Weights and channel table as bytes; nothing for operators without."""
    if op.bias is None:
        return []
    return [
        weight_rows(op).tobytes(),
        np.stack(channel_columns(graph, op), 1).astype("<i4").tobytes(),
    ]


def on_host(row, graph, op, sources):
    """Output bytes of one kernel called through ctypes."""
    keep = [np.frombuffer(table, np.int8).copy() for table in tables(graph, op)]
    numbers = np.array(words(graph, op), "<i4").tobytes()
    pointers = b"".join(struct.pack("P", array.ctypes.data) for array in keep)
    block = np.frombuffer(numbers + pointers, np.uint8).copy()
    out = np.full(graph.tensor(op.output).shape, 0x55, np.int8)
    scratch = np.zeros(max(1, row.scratch_bytes(graph, op)), np.int8)
    buffers = [block, *sources, out] + ([scratch] if op.bias is not None else [])
    getattr(host(), row.c_name)(*(ctypes.c_void_p(buffer.ctypes.data) for buffer in buffers))
    return out


def on_arm(cpu, row, graph, op, sources):
    """Output bytes of one kernel called on an emulated core; scratch must keep to its size."""
    core = arm(cpu)
    at = DATA
    places = []
    arrays = [*tables(graph, op), *(source.tobytes() for source in sources)]
    for data in arrays:
        core.write(at, data)
        places.append(at)
        at = (at + len(data) + 7) & ~7
    pointers = places[: len(arrays) - len(sources)]
    core.write(at, np.array([*words(graph, op), *pointers], "<i4").tobytes())
    block, out = at, at + 128
    size = graph.tensor(op.output).size
    scratch = (out + size + 71) & ~7
    end = scratch + row.scratch_bytes(graph, op)
    core.write(out, b"\x55" * (size + 64))
    core.write(end, b"\x5a" * 64)
    arguments = [block, *places[len(pointers) :], out]
    core.call(row.c_name, *arguments, *([scratch] if op.bias is not None else []))
    assert core.read(out + size, 8) == b"\x55" * 8, "wrote behind its output"
    assert core.read(end, 64) == b"\x5a" * 64, "wrote behind its scratch"
    return np.frombuffer(core.read(out, size), np.int8).reshape(graph.tensor(op.output).shape)


def check_all(graph):
    """Every kernel that takes the one operator of `graph` gives the reference's bytes."""
    op = graph.ops[0]
    x = inputs_for(graph, 3)[2]
    wanted = reference.run(graph, x)
    sources = [x for _ in sorted_inputs(graph, op)]
    for row in dispatch.KERNELS:
        if row.kind == op.kind and row.accepts(graph, op):
            for got in (
                on_host(row, graph, op, sources),
                on_arm("cortex-m4", row, graph, op, sources),
                on_arm("cortex-m7", row, graph, op, sources),
            ):
                np.testing.assert_array_equal(got, wanted, row.c_name)


@pytest.mark.parametrize("kind", KINDS)
def test_kernels_equal_the_reference(kind):
    @LIGHT
    @given(one_operator(kind))
    def check(graph):
        check_all(graph)

    check()


@LIGHT
@given(
    st.integers(1, 9), st.integers(1, 40), st.floats(0.001, 1.0), st.floats(0.001, 1.0),
    st.floats(0.005, 1.0), st.lists(st.integers(-128, 127), min_size=3, max_size=3),
)  # fmt: skip
def test_adds_of_two_scales_equal_the_reference(side, channels, scale_a, scale_b, scale_out, zeros):
    shape = (side, 1, channels)
    rng = np.random.default_rng(side)
    values = [rng.integers(-128, 128, shape).astype(np.int8) for _ in "ab"]
    check_adds((scale_a, scale_b, scale_out), zeros, values)


@pytest.mark.parametrize("scale_out", [0.021, 0.02, 0.07, 1e-5])
@pytest.mark.parametrize("zeros", [(-128, -128, -128), (127, -128, 3), (-5, 127, 127)])
def test_adds_of_equal_scales_are_fast_and_exact(scale_out, zeros):
    """Every pair of values; their factor of 1/2 is written as a little less."""
    every = np.arange(-128, 128, dtype=np.int8)
    pairs = np.meshgrid(every, every)
    values = [part.reshape(256, 1, 256) for part in pairs]
    assert check_adds((0.02, 0.02, scale_out), zeros, values) == ["tr_add", "tr_add_plain"]


def check_adds(scales, zeros, values):
    """Run an add by itself, as one network cannot have two inputs; the kernels that took it."""
    shape = values[0].shape
    channels = shape[2]
    tensors = [
        Tensor(name, shape, Quant(scale, zero))
        for name, scale, zero in zip("abo", scales, zeros, strict=True)
    ]
    one = np.ones((1, 1, channels), np.int8)
    copy = Op("depthwise_conv2d", "copy", ("a",), "b", weights=one,
              weight_scales=np.full(channels, 0.5), bias=np.zeros(channels, np.int32))  # fmt: skip
    op = Op("add", "add", ("a", "b"), "o")
    graph = Graph("n", tuple(tensors), (copy, op), ("a",), ("o",))
    named = dict(zip("ab", values, strict=True))
    sources = [named[name] for name in sorted_inputs(graph, op)]
    rows = [row for row in dispatch.KERNELS if row.kind == "add" and row.accepts(graph, op)]
    wanted = reference.EXECUTORS["add"](
        op, [value[None] for value in values], tensors[:2], tensors[2]
    )[0]
    for row in rows:
        np.testing.assert_array_equal(on_host(row, graph, op, sources), wanted, row.c_name)
        np.testing.assert_array_equal(
            on_arm("cortex-m4", row, graph, op, sources), wanted, row.c_name
        )
    return [row.c_name for row in rows]


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
    core = arm("cortex-m4")
    core.write(DATA, channel)
    for value in {acc, *range(near - 2, near + 3)}:
        if abs(value) >= 1 << 30:
            continue
        exact = int(np.clip(divide_by_pot(high_mul(value, multiplier), shift) + zero, -128, 127))
        arguments = (value, ctypes.c_void_p(block.ctypes.data), zero)
        assert host().round_fast(*arguments) == exact
        assert host().round_plain(*arguments) == exact
        core.call("round_fast", value & 0xFFFF_FFFF, DATA, zero & 0xFFFF_FFFF)
        assert core.result() == exact
