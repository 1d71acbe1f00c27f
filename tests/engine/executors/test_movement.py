"""Movement against indices, one element at a time."""

import numpy as np
import pytest
from graph_strategies import inputs_of, operators
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.executors.movement import nearest
from engine.options import Resize
from engine.reference import run, run_all

SEEDS = st.integers(0, 2**32 - 1)
MANY = settings(max_examples=25, deadline=None, derandomize=True)


def both(graph, seed):
    """The input and the output of a graph of one input."""
    x = inputs_of(graph, seed)["a"]
    return x, run(graph, x)


@MANY
@given(operators("pad"), SEEDS)
def test_pad_puts_the_value_around(graph, seed):
    x, y = both(graph, seed)
    for place in np.ndindex(y.shape):
        back = [i - before for i, before in zip(place, graph.ops[0].options.before, strict=True)]
        inside = all(0 <= i < size for i, size in zip(back, x.shape, strict=True))
        assert y[place] == (x[tuple(back)] if inside else graph.ops[0].options.value)


@MANY
@given(operators("slice"), SEEDS)
def test_slice_steps_either_way(graph, seed):
    x, y = both(graph, seed)
    options = graph.ops[0].options
    for place in np.ndindex(y.shape):
        triples = zip(options.start, options.step, place, strict=True)
        assert y[place] == x[tuple(start + step * i for start, step, i in triples)]


@MANY
@given(operators("transpose"), SEEDS)
def test_transpose_reorders_the_axes_of_its_view(graph, seed):
    x, y = both(graph, seed)
    options = graph.ops[0].options
    view, seen = x.reshape(options.view), y.reshape(options.shape)
    for place in np.ndindex(options.shape):
        source = [0, 0, 0]
        for axis, index in zip(options.order, place, strict=True):
            source[axis] = index
        assert seen[place] == view[tuple(source)]


@MANY
@given(operators("reshape"), SEEDS)
def test_reshape_keeps_the_bytes(graph, seed):
    x, y = both(graph, seed)
    assert y.tobytes() == x.tobytes()


@MANY
@given(operators("concat"), SEEDS)
def test_concat_puts_inputs_and_constants_in_a_row(graph, seed):
    values = run_all(graph, inputs_of(graph, seed))
    axis, start = graph.ops[0].options.axis, 0
    for name in graph.ops[0].inputs:
        size = values[name].shape[axis]
        part = values["out"].take(range(start, start + size), axis)
        np.testing.assert_array_equal(part, values[name])
        start += size
    assert start == values["out"].shape[axis]


@pytest.mark.parametrize(
    ("options", "source", "target", "chosen"),
    [
        (Resize(), 3, 6, [0, 0, 1, 1, 2, 2]),
        (Resize(), 5, 3, [0, 1, 3]),
        (Resize(align_corners=True), 3, 5, [0, 1, 1, 2, 2]),  # halves go up
        (Resize(align_corners=True), 4, 1, [0]),
        (Resize(half_pixel_centers=True), 5, 3, [0, 2, 4]),
        (Resize(half_pixel_centers=True), 2, 3, [0, 1, 1]),
    ],
)
def test_resize_takes_the_nearest(options, source, target, chosen):
    assert nearest(source, target, options).tolist() == chosen
