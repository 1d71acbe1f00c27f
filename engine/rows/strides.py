"""How far apart in memory the elements of a walk over three axes lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Triple = tuple[int, int, int]


@dataclass(frozen=True)
class Walk:
    """Sizes of three axes; for each array that is walked over, its elements to the next one."""

    sizes: Triple
    steps: tuple[Triple, ...]


def dense(shape: Sequence[int]) -> Triple:
    """Elements to the next one along each axis of an array without gaps."""
    _, width, channels = shape
    return width * channels, channels, 1


def repeated(shape: Sequence[int], sizes: Sequence[int]) -> Triple:
    """The same for an array of `shape` that is repeated where it has one element: steps of 0."""
    a, b, c = (
        0 if have == 1 and want > 1 else step
        for have, want, step in zip(shape, sizes, dense(shape), strict=True)
    )
    return a, b, c


def merged(sizes: Sequence[int], *steps: Sequence[int]) -> Walk:
    """The same elements in the same order with as few axes as can be, the others 1 at the front.

    Axes of one element go, and neighbours become one where all arrays go on from one to the next.
    """
    axes: list[tuple[int, tuple[int, ...]]] = []
    for size, *step in zip(sizes, *steps, strict=True):
        if size == 1:
            continue
        if axes and all(outer == size * own for outer, own in zip(axes[-1][1], step, strict=True)):
            axes[-1] = (axes[-1][0] * size, tuple(step))
        else:
            axes.append((size, tuple(step)))
    if not axes:
        axes = [(1, (1,) * len(steps))]
    axes = [(1, (0,) * len(steps))] * (3 - len(axes)) + axes
    return Walk(
        _triple([size for size, _ in axes]),
        tuple(_triple(own) for own in zip(*(step for _, step in axes), strict=True)),
    )


def braces(values: Sequence[int]) -> str:
    """The C initialiser of an array."""
    return f"{{{', '.join(map(str, values))}}}"


def _triple(values: Sequence[int]) -> Triple:
    a, b, c = values
    return a, b, c
