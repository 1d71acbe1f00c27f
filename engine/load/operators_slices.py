"""STRIDED_SLICE, SLICE, SPLIT and SPLIT_V: parts of a tensor, at places that are constants."""

from __future__ import annotations

from engine.errors import GraphError, UnsupportedError
from engine.graph import Tensor
from engine.load.step import Step
from engine.load.tensors import activation_axis
from engine.options import Slice, Triple

Ranges = list[range]
"""The indices taken of each axis of the file's tensor."""


def strided_slice(step: Step) -> None:
    """Begin, end and stride an axis; masks that open an end, or drop an axis after taking one."""
    for mask in ("EllipsisMask", "NewAxisMask", "Offset"):
        if step.option(mask):
            raise UnsupportedError(f"it has {mask} {step.option(mask)}; supported: 0")
    shape = step.record(0).shape
    places = [step.integers(position).ravel().tolist() for position in (1, 2, 3)]
    count = len(places[0])
    if {len(part) for part in places} != {count} or count > len(shape) or 0 in places[2]:
        raise GraphError(f"it begins, ends and strides {places} in shape {shape}")
    axes = enumerate(zip(shape, *places, strict=False))
    ranges = [_taken(step, 1 << axis, *numbers) for axis, numbers in axes]
    ranges += [range(size) for size in shape[count:]]  # axes that are not spoken of
    _add_slice(step, ranges, step.output())


def _taken(step: Step, bit: int, size: int, begin: int, end: int, stride: int) -> range:
    if step.option("ShrinkAxisMask") & bit:
        if step.option("BeginMask") & bit:  # TensorFlow itself ignores the mask here
            begin = 0
        index = begin + size if begin < 0 else begin
        if stride < 0 or not 0 <= index < size:
            raise GraphError(f"it takes element {begin} of {size} with stride {stride}")
        return range(index, index + 1)
    first = None if step.option("BeginMask") & bit else begin
    last = None if step.option("EndMask") & bit else end
    return range(*slice(first, last, stride).indices(size))


def slice_(step: Step) -> None:
    """Begin and size of each axis; size -1 is all that is left."""
    shape = step.record(0).shape
    begins, sizes = (step.integers(position).ravel().tolist() for position in (1, 2))
    if len({len(shape), len(begins), len(sizes)}) != 1:
        raise GraphError(f"it takes {sizes} from {begins} in shape {shape}")
    ranges = []
    for size, begin, count in zip(shape, begins, sizes, strict=True):
        end = size if count == -1 else begin + count
        if not 0 <= begin <= end <= size:
            raise GraphError(f"it takes {count} from {begin} of {size}")
        ranges.append(range(begin, end))
    _add_slice(step, ranges, step.output())


def split(step: Step) -> None:
    """Equal parts along an axis: one slice an output."""
    parts, shape = len(step.operator.outputs), step.record(1).shape
    axis = _axis(step, 0, len(shape))
    if not parts or shape[axis] % parts:
        raise GraphError(f"it splits {shape[axis]} into {parts} equal parts")
    _add_parts(step, 1, axis, [shape[axis] // parts] * parts)


def split_v(step: Step) -> None:
    """Parts of given sizes along an axis; one -1 is what is left."""
    sizes, shape = step.integers(1).ravel().tolist(), step.record(0).shape
    axis = _axis(step, 2, len(shape))
    if sizes.count(-1) == 1:
        sizes[sizes.index(-1)] = shape[axis] - sum(sizes) - 1
    if len(sizes) != len(step.operator.outputs) or sum(sizes) != shape[axis] or min(sizes) < 0:
        raise GraphError(f"it splits {shape[axis]} into {sizes}")
    _add_parts(step, 0, axis, sizes)


def _axis(step: Step, position: int, rank: int) -> int:
    values = step.integers(position).ravel().tolist()
    if len(values) != 1:
        raise GraphError(f"it splits along axes {values}")
    return activation_axis(values[0], rank) - 3 + rank


def _add_parts(step: Step, position: int, axis: int, sizes: list[int]) -> None:
    shape, start = step.record(position).shape, 0
    for place, size in enumerate(sizes):
        ranges = [range(length) for length in shape]
        ranges[axis] = range(start, start + size)
        _add_slice(step, ranges, step.output(place), position)
        start += size


def _add_slice(step: Step, ranges: Ranges, output: Tensor, position: int = 0) -> None:
    """A slice that keeps all axes; where the file drops some, a reshape follows."""
    if not all(ranges):
        raise GraphError("it takes nothing")
    source = step.activation(position)
    missing = [range(1)] * 3
    start, stride, size = _triples([*missing, *ranges][-3:])
    options = Slice(start, stride)
    step.add("slice", (source,), output, made=size, options=options)


def _triples(ranges: Ranges) -> tuple[Triple, Triple, Triple]:
    """Starts, strides and counts of three axes."""
    a, b, c = ranges
    return (
        (a.start, b.start, c.start),
        (a.step, b.step, c.step),
        (len(a), len(b), len(c)),
    )
