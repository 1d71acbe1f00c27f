"""Operators with weights in a cheaper form of the same sums."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.bounds import taps
from engine.graph import Op, Padding
from engine.rewrites.draft import Draft, everywhere

NO_WINDOW: dict[str, Any] = {"kernel": (1, 1), "stride": (1, 1), "dilation": (1, 1)}


def _depthwise_to_conv(change: Draft, op: Op) -> bool:
    """One input channel: both sum the same products, and conv2d reads them in one row."""
    if op.kind != "depthwise_conv2d" or change.tensors[op.inputs[0]].shape[2] != 1:
        return False
    assert op.weights is not None
    weights = np.moveaxis(op.weights, 2, 0)[..., np.newaxis]  # [Cout, KH, KW, 1]
    change.swap(op, replace(op, kind="conv2d", weights=weights))
    return True


def _conv_to_dense(change: Draft, op: Op) -> bool:
    """A kernel that covers the whole image once; it needs no copy of its window."""
    source = change.tensors[op.inputs[0]]
    if op.kind != "conv2d" or op.reach != op.kernel or op.kernel != source.shape[:2]:
        return False
    if any(vars(op.padding).values()):
        return False
    assert op.weights is not None
    weights = op.weights.reshape(len(op.weights), -1)
    change.swap(op, replace(op, kind="fully_connected", weights=weights, **NO_WINDOW))
    return True


def _crop(change: Draft, op: Op) -> bool:
    """Outer kernel rows and columns that only meet padding, or only have zero weights, go.

    Each takes as much padding with it, so that the other cells stay where they are.
    """
    if op.kind not in ("conv2d", "depthwise_conv2d"):
        return False
    assert op.weights is not None
    first = 1 if op.kind == "conv2d" else 0
    others = tuple(axis for axis in range(op.weights.ndim) if axis not in (first, first + 1))
    cells = np.any(op.weights != 0, axis=others)
    cells &= taps(op, change.tensors[op.inputs[0]], change.tensors[op.output]).inside
    pad = op.padding
    top, bottom = _useless(cells.any(axis=1), op.dilation[0], pad.top, pad.bottom)
    left, right = _useless(cells.any(axis=0), op.dilation[1], pad.left, pad.right)
    if not (top or bottom or left or right):
        return False
    rows, columns = (op.kernel[0] - top - bottom), (op.kernel[1] - left - right)
    down, across = op.dilation
    index = (slice(None),) * first + (slice(top, top + rows), slice(left, left + columns))
    padding = Padding(
        pad.top - top * down, pad.bottom - bottom * down,
        pad.left - left * across, pad.right - right * across,
    )  # fmt: skip
    change.swap(op, replace(op, weights=op.weights[index], kernel=(rows, columns), padding=padding))
    return True


def _useless(used: NDArray[np.bool_], dilation: int, before: int, after: int) -> tuple[int, int]:
    """How many cells to crop at both ends: unused ones with padding to go with.

    The padding left on the other side must stay less than the kernel's reach.
    """
    places = np.flatnonzero(used)
    first, last = (int(places[0]), int(places[-1])) if len(places) else (0, 0)
    reach = (len(used) - 1) * dilation + 1
    start = min(first, before // dilation, (reach - 1 - after) // dilation)
    end = min(len(used) - 1 - last, after // dilation, (reach - 1 - before) // dilation)
    return start, end


crop_kernels = everywhere(_crop)
depthwise_to_conv = everywhere(_depthwise_to_conv)
conv_to_dense = everywhere(_conv_to_dense)
