"""Windows against indices taken one at a time."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.graph import Padding
from engine.windows import windows

PAIRS = st.tuples(st.integers(1, 3), st.integers(1, 3))
SIDES = st.integers(0, 2)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(PAIRS, PAIRS, PAIRS, st.builds(Padding, SIDES, SIDES, SIDES, SIDES), st.integers(-128, 127))
def test_cells_are_those_of_the_input_or_the_fill(kernel, stride, dilation, padding, fill):
    rng = np.random.default_rng(0)
    x = rng.integers(-128, 128, (2, 7, 8, 3)).astype(np.int8)
    seen = windows(x, kernel, stride, padding, dilation, fill)
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    tall = (7 + padding.top + padding.bottom - reach[0]) // stride[0] + 1
    wide = (8 + padding.left + padding.right - reach[1]) // stride[1] + 1
    assert seen.shape == (2, tall, wide, 3, *kernel)
    assert seen.dtype == x.dtype
    for row, column, i, j in np.ndindex(tall, wide, *kernel):
        y = row * stride[0] + i * dilation[0] - padding.top
        z = column * stride[1] + j * dilation[1] - padding.left
        inside = 0 <= y < 7 and 0 <= z < 8
        assert (seen[:, row, column, :, i, j] == (x[:, y, z] if inside else fill)).all()
