"""SAME and VALID as rows and columns; what is odd goes below and to the right."""

import pytest
from tflite import Padding as Scheme

from engine.errors import GraphError, UnsupportedError
from engine.graph import Padding
from engine.load.padding import window_padding


@pytest.mark.parametrize(
    ("size", "reach", "stride", "padding"),
    [
        ((8, 8), (3, 3), (1, 1), Padding(1, 1, 1, 1)),
        ((8, 8), (3, 3), (2, 2), Padding(0, 1, 0, 1)),
        ((7, 9), (3, 5), (2, 2), Padding(1, 1, 2, 2)),
        ((4, 5), (2, 4), (1, 1), Padding(0, 1, 1, 2)),
        ((5, 5), (1, 1), (3, 3), Padding()),
        ((2, 2), (7, 7), (1, 1), Padding(3, 3, 3, 3)),
    ],
)
def test_same(size, reach, stride, padding):
    assert window_padding(Scheme.SAME, size, reach, stride) == padding
    assert window_padding(Scheme.VALID, size, reach, stride) == Padding()


def test_other_schemes_and_empty_windows_are_refused():
    with pytest.raises(UnsupportedError, match="padding 2; supported: SAME and VALID"):
        window_padding(2, (8, 8), (3, 3), (1, 1))
    with pytest.raises(GraphError, match="stride"):
        window_padding(Scheme.SAME, (8, 8), (3, 3), (0, 1))
    with pytest.raises(GraphError, match="kernel"):
        window_padding(Scheme.VALID, (8, 8), (0, 3), (1, 1))
