"""What a graph accepts, computes and refuses."""

from dataclasses import replace

import numpy as np
import pytest

from engine.errors import GraphError
from engine.graph import Graph, Op, Padding, Quant, Tensor, op_macs

Q = Quant(0.1, 3)


def weighted(kind, name, source, output, shape, **attributes):
    channels = shape[-1] if kind == "depthwise_conv2d" else shape[0]
    return Op(
        kind, name, (source,), output,
        weights=np.ones(shape, np.int8),
        weight_scales=np.full(channels, 0.01),
        bias=np.zeros(channels, np.int32),
        **attributes,
    )  # fmt: skip


def conv(**changes):
    op = weighted(
        "conv2d", "conv", "in", "a", (4, 3, 3, 2),
        kernel=(3, 3), stride=(2, 2), padding=Padding(0, 1, 0, 1),
    )  # fmt: skip
    return replace(op, **changes)


def network(**changes):
    parts = {
        "name": "net",
        "tensors": (
            Tensor("in", (8, 8, 2), Q), Tensor("a", (4, 4, 4), Q), Tensor("b", (4, 4, 4), Q),
            Tensor("c", (4, 4, 4), Q), Tensor("d", (1, 1, 4), Q), Tensor("e", (1, 1, 5), Q),
        ),
        "ops": (
            conv(),
            weighted("depthwise_conv2d", "dw", "a", "b", (3, 3, 4), kernel=(3, 3),
                     padding=Padding(1, 1, 1, 1)),
            Op("add", "add", ("a", "b"), "c"),
            Op("average_pool2d", "pool", ("c",), "d", kernel=(4, 4)),
            weighted("fully_connected", "fc", "d", "e", (5, 4)),
        ),
        "inputs": ("in",),
        "outputs": ("e",),
    }  # fmt: skip
    return Graph(**(parts | changes))


def test_macs_count_what_each_kind_multiplies():
    net = network()
    macs = [op_macs(net, op) for op in net.ops]
    assert macs == [4 * 4 * 4 * 9 * 2, 4 * 4 * 4 * 9, 0, 0, 20]
    assert net.macs == sum(macs)


def test_arrays_are_copied_and_read_only():
    weights = np.ones((4, 3, 3, 2), np.int8)
    op = conv(weights=weights)
    weights[:] = 0
    assert op.weights.all()
    with pytest.raises(ValueError, match="read-only"):
        op.weights[0] = 1


def test_tensor_lookup_names_the_missing_one():
    assert network().tensor("a").size == 64
    with pytest.raises(GraphError, match="no tensor 'x'"):
        network().tensor("x")


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "conv3d"},
        {"name": ""},
        {"inputs": ("in", "in")},
        {"inputs": ["in"]},
        {"kernel": (3, 2)},
        {"kernel": (0, 3)},
        {"kernel": (3.0, 3)},
        {"stride": (0, 1)},
        {"stride": 2},
        {"padding": Padding(3, 0, 0, 0)},
        {"clamp": (5, 4)},
        {"clamp": (-129, 127)},
        {"weights": None},
        {"weights": np.ones((4, 3, 3, 2), np.int16)},
        {"weights": np.ones((4, 3, 3), np.int8)},
        {"weights": np.ones((0, 3, 3, 2), np.int8)},
        {"weight_scales": np.ones(3)},
        {"weight_scales": np.ones(4, np.float32)},
        {"weight_scales": np.array([1, 1, 1, np.nan])},
        {"weight_scales": np.array([1.0, 1.0, 1.0, 0.0])},
        {"bias": np.zeros(4, np.int64)},
        {"bias": np.zeros((4, 1), np.int32)},
    ],
)
def test_malformed_operators_are_refused(changes):
    with pytest.raises(GraphError):
        conv(**changes)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Quant(0.0, 0),
        lambda: Quant(float("nan"), 0),
        lambda: Quant(1, 0),
        lambda: Quant(0.5, 128),
        lambda: Quant(0.5, 1.0),
        lambda: Tensor("", (1, 1, 1), Q),
        lambda: Tensor("half \ud800", (1, 1, 1), Q),
        lambda: Op("add", "half \ud800", ("a", "b"), "c"),
        lambda: Tensor("t", (1, 1), Q),
        lambda: Tensor("t", (0, 1, 1), Q),
        lambda: Tensor("t", (True, 1, 1), Q),
        lambda: Tensor("t", (65535, 65535, 65535), Q),
        lambda: Padding(-1, 0, 0, 0),
        lambda: Op("add", "x", ("a", "b"), "c", kernel=(2, 2)),
        lambda: Op("add", "x", ("a", "b"), "c", bias=np.zeros(1, np.int32)),
        lambda: Op("add", "x", ("a",), "c"),
    ],
)
def test_malformed_parts_are_refused(make):
    with pytest.raises(GraphError):
        make()


def with_tensor(index, **changes):
    tensors = list(network().tensors)
    tensors[index] = replace(tensors[index], **changes)
    return tuple(tensors)


def with_op(index, **changes):
    ops = list(network().ops)
    ops[index] = replace(ops[index], **changes)
    return tuple(ops)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ops": ()}, "no operators"),
        ({"name": ""}, "name"),
        ({"inputs": ("zzz",)}, "no tensor 'zzz'"),
        ({"outputs": ("in",)}, "input and output"),
        ({"ops": network().ops[::-1]}, "before it is made"),
        ({"ops": network().ops[:-1]}, "never made"),
        ({"ops": with_op(1, output="a")}, "made twice"),
        ({"ops": with_op(1, output="zzz")}, "unknown"),
        ({"ops": with_op(1, name="conv")}, "two of one name"),
        ({"ops": with_op(2, inputs=("a", "a"))}, "'b' is never made or never read"),
        ({"ops": with_op(2, inputs=("a", "in"))}, "takes"),
        ({"ops": with_op(3, kernel=(5, 5))}, "larger than its input"),
        ({"tensors": (*network().tensors, Tensor("z", (1, 1, 1), Q))}, "'z' is never made"),
        ({"tensors": (*network().tensors, Tensor("a", (1, 1, 1), Q))}, "two tensors"),
        ({"tensors": with_tensor(0, shape=(8, 8, 3))}, "3 input channels"),
        ({"tensors": with_tensor(1, shape=(3, 4, 4))}, r"makes \(4, 4, 4\)"),
        ({"tensors": with_tensor(4, quant=Quant(0.2, 3))}, "keeps its input's"),
        ({"tensors": with_tensor(5, shape=(1, 1, 6))}, r"makes \(1, 1, 5\)"),
    ],
)
def test_graphs_that_do_not_fit_together_are_refused(changes, message):
    with pytest.raises(GraphError, match=message):
        network(**changes)
