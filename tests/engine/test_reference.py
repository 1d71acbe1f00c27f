"""The executor against loops over single elements, in whole numbers."""

import tracemalloc

import numpy as np
import pytest
from graph_strategies import inputs_of, operators
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import reference
from engine.errors import GraphError
from engine.executors import weighted as weighted_executor
from engine.graph import OP_KINDS, Graph, Op, Padding, Quant, Tensor
from engine.numerics import add_parameters, output_multipliers
from engine.options import Concat
from engine.reference import run, run_all


def high(a, b):
    """gemmlowp's SaturatingRoundingDoublingHighMul, as its C++ is written."""
    product = a * b
    nudge = 2**30 if product >= 0 else 1 - 2**30
    total = product + nudge
    return total // 2**31 if total >= 0 else -(-total // 2**31)


def by_pot(value, exponent):
    """gemmlowp's RoundingDivideByPOT, as its C++ is written."""
    remainder = value & ((1 << exponent) - 1)
    threshold = (((1 << exponent) - 1) >> 1) + (value < 0)
    return (value >> exponent) + (remainder > threshold)


def rescaled(value, multiplier, shift):
    left, right = max(int(shift), 0), max(-int(shift), 0)
    return by_pot(high(int(value) << left, int(multiplier)), right)


def expected_conv(graph, op, x):
    """A convolution, one multiplication at a time."""
    source, output = graph.tensor(op.inputs[0]), graph.tensor(op.output)
    multipliers, shifts = output_multipliers(op, source.quant, output.quant)
    out = np.empty(output.shape, np.int8)
    for row, column, channel in np.ndindex(output.shape):
        acc = int(op.bias[channel])
        for i, j in np.ndindex(op.kernel):
            y = row * op.stride[0] - op.padding.top + i * op.dilation[0]
            z = column * op.stride[1] - op.padding.left + j * op.dilation[1]
            if not (0 <= y < source.shape[0] and 0 <= z < source.shape[1]):
                continue
            pixel = x[y, z].astype(int) - source.quant.zero_point
            if op.kind == "conv2d":
                acc += sum(
                    int(p) * int(w) for p, w in zip(pixel, op.weights[channel, i, j], strict=True)
                )
            else:
                multiplier = output.shape[2] // source.shape[2]
                acc += int(pixel[channel // multiplier]) * int(op.weights[i, j, channel])
        value = rescaled(acc, multipliers[channel], shifts[channel]) + output.quant.zero_point
        out[row, column, channel] = min(max(value, op.clamp[0]), op.clamp[1])
    return out


def weighted(kind, shape, channels, rng, **attributes):
    return Op(
        kind, "op", ("in",), "out",
        weights=rng.integers(-127, 128, shape).astype(np.int8),
        weight_scales=rng.uniform(0.001, 0.02, channels),
        bias=rng.integers(-3000, 3000, channels).astype(np.int32),
        **attributes,
    )  # fmt: skip


def one_op(op, source, output):
    tensors = (*(Tensor(name, *part) for name, part in source.items()), Tensor("out", *output))
    return Graph("net", tensors, (op,), ("in",), ("out",))


def random_quant(rng):
    return Quant(float(rng.uniform(0.01, 0.1)), int(rng.integers(-128, 128)))


seeds = st.integers(0, 2**32 - 1)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(operators("conv2d") | operators("depthwise_conv2d"), seeds)
def test_convolutions_of_any_window_dilation_and_multiplier(graph, seed):
    x = inputs_of(graph, seed)["a"]
    wanted = expected_conv(graph, graph.ops[0], x)
    assert run(graph, x).tolist() == wanted.tolist()


@settings(max_examples=30, deadline=None, derandomize=True)
@given(seeds, st.booleans())
def test_fully_connected_flattens_rows_columns_channels(seed, per_tensor):
    rng = np.random.default_rng(seed)
    op = weighted("fully_connected", (5, 24), 5, rng)
    if per_tensor:
        op = Op(**(vars(op) | {"weight_scales": np.full(5, 0.004)}))
    source, output = ((2, 3, 4), random_quant(rng)), ((1, 1, 5), random_quant(rng))
    graph = one_op(op, {"in": source}, output)
    x = rng.integers(-128, 128, (2, 3, 4)).astype(np.int8)
    multipliers, shifts = output_multipliers(op, source[1], output[1])
    centred = x.astype(int).ravel() - source[1].zero_point
    for channel in range(5):
        acc = int(op.bias[channel]) + int(centred @ op.weights[channel].astype(int))
        value = rescaled(acc, multipliers[channel], shifts[channel]) + output[1].zero_point
        assert run(graph, x)[0, 0, channel] == min(max(value, -128), 127)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(seeds)
def test_add_follows_the_scheme_of_left_shift_20(seed):
    rng = np.random.default_rng(seed)
    first, second, out = random_quant(rng), random_quant(rng), random_quant(rng)
    shape = (4, 16, 8)
    scale_in = Op("average_pool2d", "same", ("in",), "mid")
    to_second = weighted("depthwise_conv2d", (1, 1, 8), 8, rng, kernel=(1, 1))
    to_second = Op(**(vars(to_second) | {"output": "other", "name": "dw"}))
    add = Op("add", "add", ("mid", "other"), "out", clamp=(-100, 127))
    tensors = [("in", first), ("mid", first), ("other", second), ("out", out)]
    graph = Graph("net", tuple(Tensor(name, shape, quant) for name, quant in tensors),
                  (scale_in, to_second, add), ("in",), ("out",))  # fmt: skip
    values = run_all(graph, rng.integers(-128, 128, shape).astype(np.int8))
    p = add_parameters(first, second, out)
    names = ("mid", "other", "out")
    for a, b, y in zip(*(values[name].ravel().tolist() for name in names), strict=True):
        left = rescaled((a - first.zero_point) << 20, *p.input1)
        right = rescaled((b - second.zero_point) << 20, *p.input2)
        assert y == min(max(rescaled(left + right, *p.output) + out.zero_point, -100), 127)


def small_net(rng):
    op = weighted("conv2d", (3, 3, 3, 2), 3, rng, kernel=(3, 3), padding=Padding(1, 1, 1, 1))
    return one_op(op, {"in": ((6, 6, 2), random_quant(rng))}, ((6, 6, 3), random_quant(rng)))


def test_a_batch_gives_what_single_images_give(monkeypatch):
    rng = np.random.default_rng(1)
    graph = small_net(rng)
    batch = rng.integers(-128, 128, (7, 6, 6, 2)).astype(np.int8)
    single = np.stack([run(graph, x) for x in batch])
    assert (run(graph, batch) == single).all()
    monkeypatch.setattr(weighted_executor, "CHUNK_ELEMENTS", 1500)  # two images at once
    assert (run(graph, batch) == single).all()
    monkeypatch.setattr(reference, "PIECE_ELEMENTS", 330)  # three
    assert (run(graph, batch) == single).all()


def test_memory_is_that_of_the_tensors_and_little_more():
    quant, shape = Quant(0.1, 3), (64, 64, 16)
    tensors = (Tensor("in", shape, quant), Tensor("out", shape, quant))
    graph = Graph("net", tensors, (Op("add", "add", ("in", "in"), "out"),), ("in",), ("out",))
    batch = np.zeros((48, *shape), np.int8)
    tracemalloc.start()
    run(graph, batch)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 2 * batch.size + 100 * reference.PIECE_ELEMENTS


def test_large_sums_stay_exact():
    # 255 * 127 * 40000 = 1.3e9 is far beyond what float32 counts exactly
    count = 40_000
    op = Op(
        "fully_connected", "op", ("in",), "out",
        weights=np.full((1, count), 127, np.int8),
        weight_scales=np.array([0.5]),
        bias=np.array([-255 * 127 * count + 1], np.int32),
    )  # fmt: skip
    source, output = ((1, 1, count), Quant(1.0, -128)), ((1, 1, 1), Quant(0.5, 0))
    graph = one_op(op, {"in": source}, output)
    assert run(graph, np.full((1, 1, count), 127, np.int8))[0, 0, 0] == 1


@pytest.mark.parametrize(
    "x", [np.zeros((6, 6, 3), np.int8), np.zeros((6, 6, 2)), np.zeros((6, 2), np.int8)]
)
def test_a_wrong_input_is_refused(x):
    with pytest.raises(GraphError, match="takes int8"):
        run(small_net(np.random.default_rng(0)), x)


def two_in_two_out():
    """x + y and (x + y) next to a constant."""
    quant = Quant(0.5, 0)
    tensors = [Tensor(name, (1, 2, 3), quant) for name in ("x", "y", "sum", "fixed")]
    ops = (
        Op("add", "add", ("x", "y"), "sum"),
        Op("concat", "concat", ("sum", "fixed"), "both", options=Concat(1)),
    )
    values = np.arange(6, dtype=np.int8).reshape(1, 2, 3)
    return Graph("net", (*tensors, Tensor("both", (1, 4, 3), quant)), ops, ("x", "y"),
                 ("sum", "both"), {"fixed": values})  # fmt: skip


@pytest.mark.parametrize("batch", [(), (5,)])
def test_several_inputs_outputs_and_constants(batch):
    graph, rng = two_in_two_out(), np.random.default_rng(0)
    x, y = (rng.integers(-60, 60, (*batch, 1, 2, 3)).astype(np.int8) for _ in range(2))
    values = run_all(graph, {"y": y, "x": x})
    assert (values["sum"] == x + y).all()
    assert (values["both"][..., :2, :] == x + y).all()
    assert (values["both"][..., 2:, :] == graph.constants["fixed"]).all()
    assert {value.shape[:-3] for value in values.values()} == {batch}


def test_the_only_output_of_several_is_refused():
    x = np.zeros((1, 2, 3), np.int8)
    with pytest.raises(GraphError, match="2 outputs"):
        run(two_in_two_out(), {"x": x, "y": x})


@pytest.mark.parametrize(
    ("names", "batches", "sentence"),
    [
        ("x", [()], "takes"), ("xyz", [(), (), ()], "takes"), ("xy", [(), (1,)], "different"),
        ("xy", [(2,), (3,)], "different"),
    ],
)  # fmt: skip
def test_inputs_that_do_not_fit_are_refused(names, batches, sentence):
    x = {n: np.zeros((*b, 1, 2, 3), np.int8) for n, b in zip(names, batches, strict=True)}
    with pytest.raises(GraphError, match=sentence):
        run_all(two_in_two_out(), x)


def test_every_kind_has_an_executor():
    assert set(reference.EXECUTORS) == set(OP_KINDS)
