"""AVERAGE_POOL_2D, MAX_POOL_2D, MEAN and RESIZE_NEAREST_NEIGHBOR."""

from __future__ import annotations

from engine.errors import GraphError, UnsupportedError
from engine.load.activation import fused_clamp
from engine.load.padding import window_padding
from engine.load.step import Step
from engine.load.tensors import activation_axis
from engine.options import Mean, Resize


def average_pool2d(step: Step) -> None:
    """The mean of each window's elements inside of the input."""
    _pool(step, "average_pool2d")


def max_pool2d(step: Step) -> None:
    """The largest of each window's elements."""
    _pool(step, "max_pool2d")


def _pool(step: Step, kind: str) -> None:
    source = step.activation()
    step.require_rank(4)
    kernel = step.option("FilterHeight"), step.option("FilterWidth")
    stride = step.option("StrideH"), step.option("StrideW")
    output = step.output()
    step.add(
        *(kind, (source,), output),
        kernel=kernel,
        stride=stride,
        padding=window_padding(step.option("Padding"), source.shape[:2], kernel, stride),
        clamp=fused_clamp(step.option("FusedActivationFunction"), output.quant),
    )


def mean(step: Step) -> None:
    """Over axes of a constant; an axis that is not kept is dropped by a reshape."""
    source, rank = step.activation(), len(step.record(0).shape)
    axes = {activation_axis(int(axis), rank) for axis in step.integers(1).ravel()}
    inside = tuple(sorted(axis for axis in axes if axis >= 0))
    if not inside:
        raise UnsupportedError(
            "it is a mean over the batch; supported: over height, width, channels"
        )
    step.add("mean", (source,), step.output(), options=Mean(inside))


def resize_nearest(step: Step) -> None:
    """To the size [height, width] of a constant."""
    source = step.activation()
    step.require_rank(4)
    output, size = step.output(), step.integers(1).ravel().tolist()
    if size != list(output.shape[:2]):
        raise GraphError(f"it resizes to {size}, but the file says {output.shape[:2]}")
    options = Resize(bool(step.option("AlignCorners")), bool(step.option("HalfPixelCenters")))
    step.add("resize_nearest", (source,), output, options=options)
