"""RESHAPE and its kin, TRANSPOSE, PAD, CONCATENATION: bytes moved, never changed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.errors import GraphError, UnsupportedError
from engine.load.step import Step
from engine.load.tensors import INT8, activation_axis, activation_quant, constant_values
from engine.options import Concat, Pad, Transpose, Triple

NO_ACTIVATION = 0


def reshape(step: Step) -> None:
    """To the output's shape, which a constant may repeat; one -1 there is what is left."""
    source, output = step.activation(), step.output()
    if step.has(1):
        wanted, shape = step.integers(1).ravel().tolist(), step.output_shape()
        known = len(wanted) == len(shape) and all(
            size in (-1, actual) for size, actual in zip(wanted, shape, strict=True)
        )
        if not known:
            raise GraphError(f"it reshapes to {wanted}, but the file says {shape}")
    step.add("reshape", (source,), output)


def squeeze(step: Step) -> None:
    """SQUEEZE and EXPAND_DIMS: axes of one come or go."""
    step.add("reshape", (step.activation(),), step.output())


def transpose(step: Step) -> None:
    """Axes of one left out, neighbours that stay neighbours joined: three at most are left."""
    source, shape = step.activation(), step.record(0).shape
    order = step.integers(1).ravel().tolist()
    if sorted(order) != list(range(len(shape))):
        raise GraphError(f"its order {order} is none of {len(shape)} axes")
    if tuple(shape[axis] for axis in order) != step.output_shape():
        raise GraphError(f"it makes another shape than the file says, {step.output_shape()}")
    groups = _groups([axis for axis in order if shape[axis] != 1])
    view, places = _view(groups, shape)
    if places == (0, 1, 2):
        step.add("reshape", (source,), step.output())
    else:
        step.add("transpose", (source,), step.output(), options=Transpose(view, places))


def _groups(order: list[int]) -> list[list[int]]:
    """Runs of axes that follow each other before and after; axes of one are not there."""
    rank = {axis: place for place, axis in enumerate(sorted(order))}
    groups: list[list[int]] = []
    for axis in order:
        if groups and rank[axis] == rank[groups[-1][-1]] + 1:
            groups[-1].append(axis)
        else:
            groups.append([axis])
    return groups


def _view(groups: list[list[int]], shape: tuple[int, ...]) -> tuple[Triple, Triple]:
    """The input as three axes, and their order."""
    missing = 3 - len(groups)
    inside = sorted(groups)
    sizes = [int(np.prod([shape[axis] for axis in group])) for group in inside]
    height, width, channels = [1] * missing + sizes
    a, b, c = [*range(missing), *(inside.index(group) + missing for group in groups)]
    return (height, width, channels), (a, b, c)


def pad(step: Step) -> None:
    """PAD with the zero point, PADV2 with a constant of the input's quantisation."""
    source, rank = step.activation(), len(step.record(0).shape)
    sides = step.integers(1)
    if sides.shape != (rank, 2) or sides.min(initial=0) < 0:
        raise GraphError(f"its paddings are {sides.tolist()} for {rank} axes")
    before, after = _three(sides[:, 0]), _three(sides[:, 1])
    value = _pad_value(step) if step.has(2) else source.quant.zero_point
    step.add("pad", (source,), step.output(), options=Pad(before, after, value))


def _three(sides: NDArray[np.int64]) -> Triple:
    """Paddings of [H, W, C]; those of a batch must be none."""
    values = [0, 0, 0, *sides.tolist()]
    if any(values[:-3]):
        raise UnsupportedError("it pads the batch; supported: height, width and channels")
    height, width, channels = values[-3:]
    return height, width, channels


def _pad_value(step: Step) -> int:
    record = step.record(2)
    same = record.dtype == INT8 and activation_quant(record) == step.activation().quant
    if not same or record.elements != 1:
        raise UnsupportedError(
            f"it pads with {record.name!r}, {record.type_name} of shape {record.shape}; supported: "
            "one int8 constant of the input's scale and zero point"
        )
    return int(constant_values(record).ravel()[0])


def concat(step: Step) -> None:
    """Along one axis of [H, W, C]; no activation, the same quantisation everywhere."""
    if step.option("FusedActivationFunction") != NO_ACTIVATION:
        raise UnsupportedError("it has a fused activation; supported: none")
    sources = tuple(step.operand(place) for place in range(len(step.operator.inputs)))
    axis = activation_axis(step.option("Axis"), len(step.output_shape()))
    if axis < 0:
        raise UnsupportedError("it joins batches; supported: along height, width and channels")
    step.add("concat", sources, step.output(), options=Concat(axis))
