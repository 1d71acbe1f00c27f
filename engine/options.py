"""What some operators say beyond windows, weights and clamp: one frozen dataclass a kind.

Axes and triples are those of activations [H, W, C]: 0, 1, 2.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from engine.errors import GraphError

Triple = tuple[int, int, int]
MAX_STEP = 65_535


@dataclass(frozen=True)
class Transpose:
    """The input's bytes seen as `view`, with axes in `order`: out axis i is view axis order[i]."""

    view: Triple
    order: Triple

    def __post_init__(self) -> None:
        _require_triple("transpose view", self.view, 1, MAX_STEP)
        _require_triple("transpose order", self.order, 0, 2)
        if sorted(self.order) != [0, 1, 2]:
            raise GraphError(f"transpose order {self.order} is not an order of three axes")

    @property
    def shape(self) -> Triple:
        """The view behind the transpose."""
        a, b, c = (self.view[axis] for axis in self.order)
        return a, b, c


@dataclass(frozen=True)
class Slice:
    """Elements start + i * step of each axis, i below the output's size; step may be negative."""

    start: Triple
    step: Triple = (1, 1, 1)

    def __post_init__(self) -> None:
        _require_triple("slice start", self.start, 0, MAX_STEP)
        _require_triple("slice step", self.step, -MAX_STEP, MAX_STEP)
        if 0 in self.step:
            raise GraphError(f"slice step {self.step} has a zero")


@dataclass(frozen=True)
class Pad:
    """Elements of `value` (int8, quantised) before and behind each axis."""

    before: Triple
    after: Triple
    value: int

    def __post_init__(self) -> None:
        _require_triple("pad", self.before, 0, MAX_STEP)
        _require_triple("pad", self.after, 0, MAX_STEP)
        _require_int("pad value", self.value, -128, 127)


@dataclass(frozen=True)
class Mean:
    """The axes that become one; at least one, rising."""

    axes: tuple[int, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.axes, tuple) or not self.axes:
            raise GraphError(f"mean axes {self.axes!r} are not one axis or more")
        _require_ints("mean axes", self.axes, 0, 2)
        if list(self.axes) != sorted(set(self.axes)):
            raise GraphError(f"mean axes {self.axes} do not rise")


@dataclass(frozen=True)
class Concat:
    """The axis along which the inputs follow each other."""

    axis: int

    def __post_init__(self) -> None:
        _require_int("concat axis", self.axis, 0, 2)


@dataclass(frozen=True)
class Resize:
    """How TFLite's nearest neighbour picks its source; not both."""

    align_corners: bool = False
    half_pixel_centers: bool = False

    def __post_init__(self) -> None:
        if type(self.align_corners) is not bool or type(self.half_pixel_centers) is not bool:
            raise GraphError("the flags of a resize are not booleans")
        if self.align_corners and self.half_pixel_centers:
            raise GraphError("a resize cannot have aligned corners and half pixel centres")


@dataclass(frozen=True)
class Softmax:
    """Over the last axis: exp(beta * x), normalised."""

    beta: float = 1.0

    def __post_init__(self) -> None:
        if not (type(self.beta) is float and math.isfinite(self.beta) and self.beta > 0):
            raise GraphError(f"softmax beta {self.beta!r} is not a positive finite float")


Options = Transpose | Slice | Pad | Mean | Concat | Resize | Softmax
OPTIONS: dict[str, type[Options]] = {
    "transpose": Transpose,
    "slice": Slice,
    "pad": Pad,
    "mean": Mean,
    "concat": Concat,
    "resize_nearest": Resize,
    "softmax": Softmax,
}
"""The options that each kind of operator must have; the others have none."""


def _require_triple(what: str, value: object, low: int, high: int) -> None:
    if not isinstance(value, tuple) or len(value) != 3:
        raise GraphError(f"{what} is {value!r}, not three integers")
    _require_ints(what, value, low, high)


def _require_ints(what: str, values: Iterable[object], low: int, high: int) -> None:
    for value in values:
        _require_int(what, value, low, high)


def _require_int(what: str, value: object, low: int, high: int) -> None:
    if type(value) is not int or not low <= value <= high:
        raise GraphError(f"{what} is {value!r}, not an integer of {low}..{high}")
