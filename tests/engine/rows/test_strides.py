"""Walks over memory with as few axes as can be."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.rows.strides import braces, dense, merged, repeated

SIZES = st.tuples(*[st.integers(1, 4)] * 3)
STEPS = st.tuples(*[st.sampled_from([-3, 0, 1, 2, 4, 8, 12, 16])] * 3)


def places(sizes, steps):
    return [sum(i * s for i, s in zip(at, steps, strict=True)) for at in np.ndindex(*sizes)]


@given(SIZES, STEPS, STEPS)
def test_merged_axes_visit_the_same_elements_in_the_same_order(sizes, first, second):
    walk = merged(sizes, first, second)
    assert places(walk.sizes, walk.steps[0]) == places(sizes, first)
    assert places(walk.sizes, walk.steps[1]) == places(sizes, second)


@given(SIZES)
def test_all_of_an_array_is_one_run(sizes):
    walk = merged(sizes, dense(sizes))
    assert walk.sizes == (1, 1, np.prod(sizes))
    assert walk.steps[0][2] == 1


@given(SIZES, st.tuples(*[st.booleans()] * 3))
def test_repeated_elements_are_those_of_numpy_broadcasting(sizes, kept):
    shape = tuple(n if keep else 1 for n, keep in zip(sizes, kept, strict=True))
    array = np.arange(np.prod(shape)).reshape(shape)
    wanted = np.broadcast_to(array, sizes).reshape(-1)
    assert places(sizes, repeated(shape, sizes)) == wanted.tolist()


def test_channels_against_an_image_are_two_axes():
    image, gate = (7, 5, 3), (1, 1, 3)
    walk = merged(image, repeated(image, image), repeated(gate, image))
    assert walk.sizes == (1, 35, 3)
    assert walk.steps == ((0, 3, 1), (0, 0, 1))


def test_braces_are_an_initialiser():
    assert braces((1, -2, 3)) == "{1, -2, 3}"
