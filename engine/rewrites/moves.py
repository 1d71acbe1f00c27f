"""Reshapes and transposes: fewer of them, and where others can absorb them."""

from __future__ import annotations

from dataclasses import replace

from engine.executors.functions import FUNCTIONS
from engine.graph import Op
from engine.options import Transpose
from engine.rewrites.draft import Draft, everywhere
from engine.rewrites.no_ops import moves_nothing

FLAT_READERS = ("fully_connected", "reshape", "transpose")
"""Kinds that see their input's bytes, whatever its shape."""
MOVES = ("reshape", "transpose")


def _skip_reshape(change: Draft, op: Op) -> bool:
    """Readers that see bytes read what the reshape reads."""
    readers = [r for r in change.readers(op.output) if r.kind in FLAT_READERS]
    if op.kind != "reshape" or not readers:
        return False
    for reader in readers:
        change.swap(reader, replace(reader, inputs=op.inputs))
    return True


def _merge_transpose(change: Draft, op: Op) -> bool:
    """Take over what reads or makes: a reshape behind, a transpose before."""
    if not isinstance(op.options, Transpose):
        return False
    if moves_nothing(op.options):
        change.swap(op, replace(op, kind="reshape", options=None))
        return True
    reader = change.only_reader(op.output)
    if reader is not None and reader.kind == "reshape":
        change.swap(reader)
        change.swap(op, replace(op, output=reader.output))
        return True
    return _join_transposes(change, op, op.options)


def _join_transposes(change: Draft, op: Op, last: Transpose) -> bool:
    maker = change.maker(op.inputs[0])
    if maker is None or not isinstance(maker.options, Transpose):
        return False
    first = maker.options
    if first.shape != last.view:
        return False
    one, two, three = (first.order[axis] for axis in last.order)
    joined = Transpose(first.view, (one, two, three))
    change.swap(op, replace(op, inputs=maker.inputs, options=joined))
    return True


def _sink(change: Draft, op: Op) -> bool:
    """Functions of single values run before the move, which may then meet another.

    A move behind a move waits: two that have met become one.
    """
    maker = change.maker(op.inputs[0])
    if op.kind not in MOVES or (maker is not None and maker.kind in MOVES):
        return False
    sunk = op
    while (reader := change.only_reader(sunk.output)) is not None and reader.kind in FUNCTIONS:
        sunk = _exchange(change, sunk, reader)
    return sunk is not op


def _exchange(change: Draft, move: Op, reader: Op) -> Op:
    """Let `reader` run before `move`; the new move.

    The tensor between them keeps its name, takes the shape before and the values after.
    """
    before, after = change.tensors[move.inputs[0]], change.tensors[reader.output]
    change.tensors[move.output] = replace(before, name=move.output, quant=after.quant)
    sunk = replace(move, inputs=(move.output,), output=reader.output)
    change.swap(reader)
    change.swap(move, replace(reader, inputs=move.inputs, output=move.output), sunk)
    return sunk


skip_reshapes = everywhere(_skip_reshape)
merge_transposes = everywhere(_merge_transpose)
sink_moves = everywhere(_sink)
