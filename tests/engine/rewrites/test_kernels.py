"""Cheaper forms of the same sums."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rewrite_nets import Net, applied, kinds, random_net, refused, same_if_applied

from engine.graph import Padding, Quant

Q = Quant(0.05, -7)
ROWS = ("crop_kernels", "depthwise_to_conv", "conv_to_dense")


def one(kind, shape, out, weights, **options):
    """A network of one operator with `weights`."""
    net = Net(4, shape)
    channels = out[2]
    arrays = net.weights(weights.shape, channels) | {"weights": weights.astype(np.int8)}
    net.append(kind, ("in",), out, Q, **arrays, **options)
    return net.graph()


def random_weights(*shape):
    return np.random.default_rng(3).integers(1, 128, shape)


def test_one_channel_deep_is_a_convolution():
    graph = one(
        "depthwise_conv2d", (6, 5, 1), (3, 5, 4), random_weights(3, 3, 4),
        kernel=(3, 3), stride=(2, 1), padding=Padding(1, 0, 1, 1),
    )  # fmt: skip
    changed = applied("depthwise_to_conv", graph)
    assert kinds(changed) == ["conv2d"]
    assert changed.ops[0].weights.shape == (4, 3, 3, 1)
    assert changed.macs == graph.macs


def test_more_channels_stay_depthwise():
    graph = one("depthwise_conv2d", (3, 3, 2), (1, 1, 4), random_weights(3, 3, 4), kernel=(3, 3))
    assert refused("depthwise_to_conv", graph)


def test_a_kernel_as_large_as_its_image_is_dense():
    shape = (2, 3, 4)
    weights = random_weights(3, *shape)
    graph = one("conv2d", shape, (1, 1, 3), weights, kernel=(2, 3), stride=(2, 2))
    changed = applied("conv_to_dense", graph)
    assert kinds(changed) == ["fully_connected"]
    assert changed.ops[0].weights.tolist() == weights.reshape(3, 24).tolist()


def test_a_padded_or_smaller_kernel_stays():
    graph = one(
        "conv2d", (2, 2, 1), (1, 1, 2), random_weights(2, 2, 2, 1), kernel=(2, 2), stride=(2, 2),
        padding=Padding(1, 0, 0, 0), dilation=(1, 1),
    )  # fmt: skip
    assert refused("conv_to_dense", graph)
    graph = one("conv2d", (3, 3, 1), (2, 2, 2), random_weights(2, 2, 2, 1), kernel=(2, 2))
    assert refused("conv_to_dense", graph)


@pytest.mark.parametrize("kind", ["conv2d", "depthwise_conv2d"])
def test_cells_that_only_meet_padding_are_cropped(kind):
    shape = (3, 3, 3, 3) if kind == "conv2d" else (3, 3, 3)
    options = {"kernel": (3, 3), "padding": Padding(1, 1, 1, 1)}
    changed = applied(
        "crop_kernels", one(kind, (1, 4, 3), (1, 4, 3), random_weights(*shape), **options)
    )
    assert changed.ops[0].kernel == (1, 3)
    assert changed.ops[0].padding == Padding(0, 0, 1, 1)


def test_zero_cells_at_the_border_are_cropped_with_their_padding():
    weights = random_weights(2, 5, 3, 1)
    weights[:, [0, 1, 4]] = 0
    graph = one(
        "conv2d", (6, 6, 1), (6, 4, 2), weights, kernel=(5, 3), padding=Padding(1, 3, 0, 0)
    )  # fmt: skip
    changed = applied("crop_kernels", graph)
    assert changed.ops[0].kernel == (3, 3)  # only one row of padding above to go with
    assert changed.ops[0].padding == Padding(0, 2, 0, 0)


def test_zero_cells_inside_or_without_padding_stay():
    weights = random_weights(2, 3, 3, 1)
    weights[:, 0] = weights[:, :, 1] = 0
    graph = one("conv2d", (6, 6, 1), (4, 4, 2), weights, kernel=(3, 3))
    assert refused("crop_kernels", graph)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(seed=st.integers(0, 1 << 32))
def test_no_output_changes(seed):
    graph = random_net(seed, ("conv2d", "depthwise_conv2d"), most=3)
    for name in ROWS:
        same_if_applied(name, graph)
