"""Pads: two of one value are one, and windows that pad by themselves need none."""

from __future__ import annotations

from dataclasses import replace

from engine.graph import Op, Padding
from engine.options import Pad, Triple
from engine.rewrites.draft import Draft, everywhere

CONVOLUTIONS = ("conv2d", "depthwise_conv2d")


def _into_windows(change: Draft, op: Op) -> bool:
    """The pad goes if every reader can do its work.

    A convolution pads with its input's zero point. A max pool ignores its padding, so a value
    that no other can be below does nothing in it. An average pool does not count its padding.
    """
    if not isinstance(op.options, Pad) or op.output in change.graph.outputs:
        return False
    readers = change.readers(op.output)
    if not all(_takes(change, reader, op, op.options) for reader in readers):
        return False
    for reader in readers:
        padding = _sum(reader.padding, op.options)
        change.swap(reader, replace(reader, inputs=op.inputs, padding=padding))
    change.swap(op)
    return True


def _takes(change: Draft, reader: Op, op: Op, pad: Pad) -> bool:
    if reader.kind in CONVOLUTIONS:
        harmless = pad.value == change.tensors[op.output].quant.zero_point
    else:
        least = change.intervals[op.inputs[0]].low.min()
        harmless = reader.kind == "max_pool2d" and pad.value <= max(least, reader.clamp[0])
    padding, (rows, columns) = _sum(reader.padding, pad), reader.reach
    fits = max(padding.top, padding.bottom) < rows and max(padding.left, padding.right) < columns
    return harmless and fits and pad.before[2] == pad.after[2] == 0


def _sum(padding: Padding, pad: Pad) -> Padding:
    return Padding(
        padding.top + pad.before[0],
        padding.bottom + pad.after[0],
        padding.left + pad.before[1],
        padding.right + pad.after[1],
    )


def _merge(change: Draft, op: Op) -> bool:
    maker = change.maker(op.inputs[0])
    if maker is None or not isinstance(op.options, Pad) or not isinstance(maker.options, Pad):
        return False
    if op.options.value != maker.options.value:
        return False
    joined = Pad(
        _added(op.options.before, maker.options.before),
        _added(op.options.after, maker.options.after),
        op.options.value,
    )
    change.swap(op, replace(op, inputs=maker.inputs, options=joined))
    return True


def _added(one: Triple, other: Triple) -> Triple:
    a, b, c = (x + y for x, y in zip(one, other, strict=True))
    return a, b, c


merge_pads = everywhere(_merge)
pad_in_windows = everywhere(_into_windows)
