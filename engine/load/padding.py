"""Where TFLite places a window: SAME and VALID as explicit rows and columns of padding."""

from __future__ import annotations

from tflite import Padding as Scheme

from engine.errors import GraphError, UnsupportedError
from engine.graph import Padding

Pair = tuple[int, int]


def window_padding(scheme: int, size: Pair, reach: Pair, stride: Pair) -> Padding:
    """The padding of an input of `size` under a window; what is odd goes below and right.

    reach: rows and columns that the kernel spans, its dilation counted.
    """
    if scheme not in (Scheme.SAME, Scheme.VALID):
        raise UnsupportedError(f"padding {scheme}; supported: SAME and VALID")
    if min(stride) < 1 or min(reach) < 1:
        raise GraphError(f"it has stride {stride} and a kernel that spans {reach}")
    if scheme == Scheme.VALID:
        return Padding()
    rows, columns = (_total(*axis) for axis in zip(size, reach, stride, strict=True))
    return Padding(rows // 2, rows - rows // 2, columns // 2, columns - columns // 2)


def _total(size: int, reach: int, stride: int) -> int:
    outputs = -(-size // stride)
    return max(0, (outputs - 1) * stride + reach - size)
