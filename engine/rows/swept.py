"""Depthwise convolutions 3x3, 5x5 and 7x7, two taps at a time."""

from functools import partial

from engine import c_text, lead
from engine.features import clamped_bytes
from engine.graph import Graph, Op
from engine.kernel_row import Description, Features, KernelRow, Table
from engine.rows.conv import conv_fields
from engine.swept import (
    BLOCKS,
    FASTEST,
    Form,
    column_bytes,
    columns,
    slots,
    stream,
    sweeps,
    swept_strips,
    word_count,
)

SWEPT_BYTES = 104  # tr_swept in kernels.h
STRIDES = ((1, 1), (2, 2))
LOOPS = tuple((size, stride) for size in BLOCKS for stride in (1, 2))


def describe(graph: Graph, op: Op, form: Form = FASTEST) -> Description:
    """tr_swept with the one stream that its sweep reads."""
    found, held = sweeps(graph, op, form), slots(graph, op, form)
    assert found is not None
    loop = f"tr_sweep_{held}" if op.kernel[0] == 3 else f"tr_block_{op.kernel[0]}"
    table = Table(
        "pairs",
        lambda name: c_text.numbers_table(name, "int32_t", stream(op, found).tolist()),
        4 * word_count(op, found) * len(found.before),
    )
    fields: dict[str, int | str] = {
        **{f"conv.{name}": value for name, value in conv_fields(graph, op).items()},
        "take": f"tr_take_{held}_{found.unit}",
        "sweep": f"{loop}_{op.stride[0]}_{found.ending}",
        "slots": held,
        "unit": found.unit,
        "words": word_count(op, found),
    }
    return Description("tr_swept", fields, SWEPT_BYTES, (table,))


def scratch_bytes(graph: Graph, op: Op, form: Form = FASTEST) -> int:
    """All pairs of each column that any window reaches."""
    return columns(graph, op) * column_bytes(slots(graph, op, form))


def count(graph: Graph, op: Op, form: Form = FASTEST) -> Features:
    """Pairs of rows taken by four channels, then each channel's rows swept; swept.c."""
    found, strip = sweeps(graph, op, form), swept_strips(graph, op, form)
    assert found is not None
    in_h, in_w, in_c = graph.tensor(op.inputs[0]).shape
    out_h, out_w, _ = graph.tensor(op.output).shape
    every, inside = -(-in_c // 4), min(strip.width - op.padding.left, in_w)
    whole, narrow = every * (in_c >= 4), int(in_c < 4)
    last = out_h - (-(-out_h // strip.rows) - 1) * strip.rows
    parts = -(-out_h // strip.rows)
    taken = (parts - 1) * strip.rows * op.stride[0] // 2 + (
        (last - 1) * op.stride[0] + op.kernel[0] + 1
    ) // 2
    tops = range(-op.padding.top, 2 * taken - op.padding.top, 2)
    pairs = sum(-1 <= top < in_h for top in tops)
    both = sum(0 <= top < in_h - 1 for top in tops)
    outputs = out_h * out_w * in_c
    return {
        "calls": 1,
        "strips": every * parts,
        "channel_strips": in_c * parts,
        "channel_lines": in_c * out_h,
        "pairs": every * taken,
        "pair_columns": whole * both * inside,
        "edge_columns": whole * (pairs - both) * inside,
        "tail_columns": narrow * pairs * inside,
        "filled_columns": (strip.width - inside) + every * (taken - pairs) * inside,
        "kept_pairs": every * (parts - 1) * inside * (op.kernel[0] // 2),
        **{
            f"outputs_{n}_{s}": n == op.kernel[0] and s == op.stride[0] and outputs
            for n, s in LOOPS
        },
        **_large(op, in_c * parts, in_c * out_h, out_w),
        "odd_lines": in_c * out_h * (op.kernel[0] == 3) * (out_w % 2),
        "general_outputs": outputs * (found.ending == "any"),
        "clamped": clamped_bytes(graph, op),
    }


def _large(op: Op, channel_strips: int, channel_lines: int, out_w: int) -> Features:
    """What 5x5 and 7x7 do beyond 3x3, whole blocks of outputs above all; block.c."""
    return {
        name: count * (n == op.kernel[0])
        for n in BLOCKS
        if n > 3
        for name, count in (
            (f"strips_{n}", channel_strips),
            (f"lines_{n}", channel_lines),
            *(
                (f"blocks_{n}_{s}", channel_lines * -(-out_w // BLOCKS[n]) * (s == op.stride[0]))
                for s in (1, 2)
            ),
        )
    }


def _is_swept(graph: Graph, op: Op) -> bool:
    shapes = (graph.tensor(name).shape for name in (op.inputs[0], op.output))
    square = op.kernel[0] == op.kernel[1] and op.kernel[0] in BLOCKS
    fits = square and op.stride in STRIDES and op.dilation == (1, 1) and slots(graph, op) > 0
    one_filter = len({channels for _, _, channels in shapes}) == 1
    return fits and one_filter and sweeps(graph, op) is not None


def _is_shared(graph: Graph, op: Op, form: Form) -> bool:
    """Whether the form is another one than the fastest for this layer, and right for it."""
    if not _is_swept(graph, op):
        return False
    fastest, found = sweeps(graph, op), sweeps(graph, op, form)
    assert fastest is not None
    is_few = slots(graph, op, form) != slots(graph, op)
    is_general = found is not None and found.ending != fastest.ending
    return (is_general, is_few) == form


def _row(form: Form) -> KernelRow:
    return KernelRow(
        "tr_depthwise_swept",
        "depthwise_conv2d",
        "swept.c",
        _is_swept if form == FASTEST else partial(_is_shared, form=form),
        partial(count, form=form),
        partial(describe, form=form),
        partial(scratch_bytes, form=form),
        partial(lead.swept_quads, form=form),
        lead_is_exact=True,
        takes_scratch=True,
        headers=("sweep.c", "pairs.c", "block.c", "columns.c", "sweep.h", "slots.h"),
    )


FORMS = (FASTEST, Form(few=True), Form(general=True), Form(general=True, few=True))
ROWS: tuple[KernelRow, ...] = tuple(_row(form) for form in FORMS)
"""Behind the fastest: those that share the code of other layers."""
