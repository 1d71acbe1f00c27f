"""Kernels that move bytes and compute nothing: reshape, slice, transpose, pad, concat, resize."""

import math

import numpy as np
from numpy.typing import NDArray

from engine import c_text
from engine.executors.movement import nearest
from engine.graph import Graph, Op
from engine.kernel_row import Description, Features, KernelRow, Table, always, in_place
from engine.lead import MAX_PIXELS, lead
from engine.options import Concat, Pad, Resize, Slice, Transpose
from engine.rows.strides import Triple, Walk, braces, dense, merged

BYTES_BYTES = 4  # tr_bytes in kernels.h
WALK_BYTES = 28  # tr_walk
BORDER_BYTES = 40  # tr_border
PARTS_BYTES = 12  # tr_parts
RESIZE_BYTES = 24  # tr_resize
POINTER_BYTES = 4


def _runs(count: int, length: int) -> Features:
    """What tr_copy does: `count` runs of `length` bytes."""
    return {
        "calls": 1,
        "runs": count,
        "words": count * (length // 4),
        "bytes": count * (length % 4),
    }


def describe_reshape(graph: Graph, op: Op) -> Description:
    """tr_bytes."""
    return Description("tr_bytes", {"size": graph.tensor(op.output).size}, BYTES_BYTES)


def _reshape_features(graph: Graph, op: Op) -> Features:
    return _runs(1, graph.tensor(op.output).size)


def _sliced(graph: Graph, op: Op) -> tuple[int, Walk]:
    """The first element of a slice, and the walk from there."""
    assert isinstance(op.options, Slice)
    whole = dense(graph.tensor(op.inputs[0]).shape)
    start = sum(at * step for at, step in zip(op.options.start, whole, strict=True))
    steps = [by * step for by, step in zip(op.options.step, whole, strict=True)]
    return start, merged(graph.tensor(op.output).shape, steps)


def _transposed(_graph: Graph, op: Op) -> tuple[int, Walk]:
    assert isinstance(op.options, Transpose)
    whole = dense(op.options.view)
    return 0, merged(op.options.shape, [whole[axis] for axis in op.options.order])


WALKS = {"slice": _sliced, "transpose": _transposed}


def describe_walk(graph: Graph, op: Op) -> Description:
    """tr_walk."""
    start, walk = WALKS[op.kind](graph, op)
    sizes, steps = braces(walk.sizes), braces(walk.steps[0])
    return Description("tr_walk", {"sizes": sizes, "start": start, "steps": steps}, WALK_BYTES)


def _walk_features(graph: Graph, op: Op) -> Features:
    """tr_gather: rows copied as runs, or one byte at a time."""
    _, walk = WALKS[op.kind](graph, op)
    rows, count = walk.sizes[0] * walk.sizes[1], walk.sizes[2]
    together = walk.steps[0][2] == 1
    return {**_runs(rows * together, count), "rows": rows, "picked": rows * count * (not together)}


def _walk_lead(graph: Graph, op: Op) -> int | None:
    """0 where the input's elements are read in their order, each at or behind its place."""
    _, walk = WALKS[op.kind](graph, op)
    steps, ends = walk.steps[0], dense(walk.sizes)
    forward = all(
        size == 1 or own >= least for size, own, least in zip(walk.sizes, steps, ends, strict=True)
    )
    return 0 if forward and _rises(walk) else None


def _rises(walk: Walk) -> bool:
    """Whether each row ends before the next one begins."""
    steps = walk.steps[0]
    inner = (walk.sizes[2] - 1) * steps[2]
    middle = (walk.sizes[1] - 1) * steps[1] + inner
    return (walk.sizes[1] == 1 or inner < steps[1]) and (walk.sizes[0] == 1 or middle < steps[0])


def describe_pad(graph: Graph, op: Op) -> Description:
    """tr_border."""
    sizes, before, after = _border(graph, op)
    assert isinstance(op.options, Pad)
    fields: dict[str, int | str] = {
        "sizes": braces(sizes),
        "before": braces(before),
        "after": braces(after),
        "value": op.options.value,
    }
    return Description("tr_border", fields, BORDER_BYTES)


def _border(graph: Graph, op: Op) -> tuple[Triple, Triple, Triple]:
    """Sizes of the input and what goes around, with the axes behind the last padded one as one."""
    assert isinstance(op.options, Pad)
    sizes, before, after = graph.tensor(op.inputs[0]).shape, op.options.before, op.options.after
    for _ in range(2):
        if before[2] == after[2] == 0:
            count = sizes[2]
            sizes = 1, sizes[0], sizes[1] * count
            before, after = _behind(before, count), _behind(after, count)
    return sizes, before, after


def _behind(part: Triple, count: int) -> Triple:
    """What goes before or behind axes of which the last, of `count` elements, joined the second."""
    return 0, part[0], part[1] * count


def _pad_features(graph: Graph, op: Op) -> Features:
    """tr_pad: a run for each pixel of the input, and bytes of the border."""
    (height, width, length), _, _ = _border(graph, op)
    filled = graph.tensor(op.output).size - graph.tensor(op.inputs[0]).size
    return {**_runs(height * width, length), "filled": filled}


def _pad_lead(graph: Graph, op: Op) -> int:
    """The last run of the input must not lie before its place in the output."""
    assert isinstance(op.options, Pad)
    source, output = graph.tensor(op.inputs[0]), graph.tensor(op.output)
    steps = dense(output.shape)
    behind = sum(count * step for count, step in zip(op.options.after, steps, strict=True))
    return output.size - behind - source.size


def describe_concat(graph: Graph, op: Op) -> Description:
    """tr_parts, with the array of pointers that is its argument."""
    rows, sizes = _parts(graph, op)
    table = Table(
        "sizes", lambda name: c_text.numbers_table(name, "int32_t", sizes), 4 * len(sizes)
    )
    fields: dict[str, int | str] = {"inputs": len(sizes), "rows": rows}
    return Description("tr_parts", fields, PARTS_BYTES + POINTER_BYTES * len(sizes), (table,))


def _parts(graph: Graph, op: Op) -> tuple[int, list[int]]:
    """Rows of the output, and the bytes of each input in one."""
    assert isinstance(op.options, Concat)
    shapes = [graph.tensor(name).shape for name in op.inputs]
    axis = op.options.axis
    return math.prod(shapes[0][:axis]), [math.prod(shape[axis:]) for shape in shapes]


def _concat_features(graph: Graph, op: Op) -> Features:
    rows, sizes = _parts(graph, op)
    return {
        "calls": 1,
        "runs": rows * len(sizes),
        "words": rows * sum(size // 4 for size in sizes),
        "bytes": rows * sum(size % 4 for size in sizes),
    }


def describe_resize(graph: Graph, op: Op) -> Description:
    """tr_resize with the row and column of the input for each of the output."""
    _, width, channels = graph.tensor(op.inputs[0]).shape
    out_h, out_w, _ = graph.tensor(op.output).shape
    tables = tuple(
        _indices(field, _nearest(graph, op, axis)) for axis, field in enumerate(("rows", "columns"))
    )
    fields = {"in_w": width, "channels": channels, "out_h": out_h, "out_w": out_w}
    return Description("tr_resize", fields, RESIZE_BYTES, tables)


def _nearest(graph: Graph, op: Op, axis: int) -> NDArray[np.intp]:
    assert isinstance(op.options, Resize)
    source, output = graph.tensor(op.inputs[0]).shape, graph.tensor(op.output).shape
    return nearest(source[axis], output[axis], op.options)


def _indices(field: str, chosen: NDArray[np.intp]) -> Table:
    return Table(
        field,
        lambda name: c_text.numbers_table(name, "uint16_t", chosen.tolist()),
        2 * len(chosen),
    )


def _resize_features(graph: Graph, op: Op) -> Features:
    height, width, channels = graph.tensor(op.output).shape
    return _runs(height * width, channels)


def _resize_lead(graph: Graph, op: Op) -> int | None:
    """A step is a pixel."""
    if math.prod(graph.tensor(op.output).shape[:2]) > MAX_PIXELS:
        return None
    rows, columns = _nearest(graph, op, 0), _nearest(graph, op, 1)
    _, width, channels = graph.tensor(op.inputs[0]).shape
    reads = ((rows[:, None] * width + columns) * channels).reshape(-1).astype(np.int64)
    return lead(reads, channels * np.arange(1, reads.size + 1))


# fmt: off
ROWS: tuple[KernelRow, ...] = (
    KernelRow("tr_reshape", "reshape", "move.c", always, _reshape_features, describe_reshape,
              lead_bytes=in_place, plain=True),
    KernelRow("tr_gather", "slice", "move.c", always, _walk_features, describe_walk,
              lead_bytes=_walk_lead, plain=True),
    KernelRow("tr_gather", "transpose", "move.c", always, _walk_features, describe_walk,
              lead_bytes=_walk_lead, plain=True),
    KernelRow("tr_pad", "pad", "move.c", always, _pad_features, describe_pad,
              lead_bytes=_pad_lead, plain=True),
    KernelRow("tr_concat", "concat", "move.c", always, _concat_features, describe_concat,
              plain=True, packs_inputs=True),
    KernelRow("tr_resize_nearest", "resize_nearest", "move.c", always, _resize_features,
              describe_resize, lead_bytes=_resize_lead, plain=True),
)
# fmt: on
