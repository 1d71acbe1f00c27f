"""What one tensor of the file means as an activation [H, W, C] or a constant."""

from __future__ import annotations

from typing import Any

import numpy as np
import tflite
from numpy.typing import NDArray

from engine.errors import GraphError, UnsupportedError
from engine.graph import Quant
from engine.load.records import TensorRecord
from engine.options import Triple

INT8, UINT8, INT32, INT64, FLOAT32 = (
    int(getattr(tflite.TensorType, name)) for name in ("INT8", "UINT8", "INT32", "INT64", "FLOAT32")
)
ELEMENTS: dict[int, str] = {INT8: "<i1", INT32: "<i4", INT64: "<i8"}
UINT8_OFFSET = 128  # the uint8 u is the int8 u - 128


def activation_shape(record: TensorRecord) -> Triple:
    """The file's shape as [H, W, C]: without a batch of 1, with leading ones."""
    sizes = record.shape
    while len(sizes) > 3 and sizes[0] == 1:
        sizes = sizes[1:]
    if len(sizes) > 3:
        what = f"a batch of {sizes[0]}" if len(record.shape) == 4 else f"shape {record.shape}"
        raise UnsupportedError(
            f"tensor {record.name!r} has {what}; supported: batch 1 and three more axes"
        )
    height, width, channels = (1,) * (3 - len(sizes)) + sizes
    return height, width, channels


def activation_axis(axis: int, rank: int) -> int:
    """Axis `axis` of a file's tensor (negative: from the end) among those of [H, W, C].

    Negative when it is one of the leading ones that were dropped. `GraphError` outside the rank.
    """
    if not -rank <= axis < rank:
        raise GraphError(f"axis {axis} is not one of the tensor's {rank}")
    return axis % rank - rank + 3


def activation_quant(record: TensorRecord) -> Quant:
    """The one scale and zero point of an int8 tensor, or of a uint8 one seen as int8."""
    if len(record.scales) != 1 or len(record.zero_points) != 1:
        raise UnsupportedError(
            f"tensor {record.name!r} has {len(record.scales)} scales and "
            f"{len(record.zero_points)} zero points; supported: one of each"
        )
    offset = UINT8_OFFSET if record.dtype == UINT8 else 0
    return Quant(float(record.scales[0]), int(record.zero_points[0]) - offset)


def constant_values(record: TensorRecord) -> NDArray[Any]:
    """The values of an int8, int32 or int64 constant: a read-only view in the file's shape."""
    element = np.dtype(ELEMENTS[record.dtype])
    if record.data is None:
        raise UnsupportedError(f"tensor {record.name!r} is not a constant; supported: constants")
    size = record.elements * element.itemsize
    if record.data.size != size or any(dimension < 0 for dimension in record.shape):
        raise GraphError(
            f"tensor {record.name!r} of shape {record.shape} has {record.data.size} bytes of data"
        )
    return np.frombuffer(record.data, element).reshape(record.shape)
