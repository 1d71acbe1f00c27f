"""The depthwise convolution 3x3 two taps at a time."""

from engine import c_text, lead
from engine.features import clamped_bytes
from engine.graph import Graph, Op
from engine.kernel_row import Description, Features, KernelRow, Table
from engine.rows.conv import conv_fields
from engine.swept import TAPS, column_bytes, columns, slots, stream, sweeps, swept_strips

SWEPT_BYTES = 104  # tr_swept in kernels.h
STRIDES = ((1, 1), (2, 2))


def describe(graph: Graph, op: Op) -> Description:
    """tr_swept with the one stream that its sweep reads."""
    found, held = sweeps(graph, op), slots(graph, op)
    assert found is not None
    table = Table(
        "pairs",
        lambda name: c_text.numbers_table(name, "int32_t", stream(op, found).tolist()),
        4 * found.words * len(found.before),
    )
    fields: dict[str, int | str] = {
        **{f"conv.{name}": value for name, value in conv_fields(graph, op).items()},
        "take": f"tr_take_{held}_{found.unit}",
        "sweep": f"tr_sweep_{held}_{op.stride[0]}_{found.ending}",
        "slots": held,
        "unit": found.unit,
        "words": found.words,
    }
    return Description("tr_swept", fields, SWEPT_BYTES, (table,))


def scratch_bytes(graph: Graph, op: Op) -> int:
    """All pairs of each column that any window reaches."""
    return columns(graph, op) * column_bytes(slots(graph, op))


def count(graph: Graph, op: Op) -> Features:
    """Pairs of rows taken by four channels, then each channel's rows swept; swept.c."""
    found, strip = sweeps(graph, op), swept_strips(graph, op)
    assert found is not None
    in_h, in_w, in_c = graph.tensor(op.inputs[0]).shape
    out_h, out_w, _ = graph.tensor(op.output).shape
    quads, tail = divmod(in_c, 4)
    every, inside = quads + (tail > 0), min(strip.width - op.padding.left, in_w)
    last = out_h - (-(-out_h // strip.rows) - 1) * strip.rows
    parts = -(-out_h // strip.rows)
    taken = (parts - 1) * strip.rows * op.stride[0] // 2 + ((last - 1) * op.stride[0] + 4) // 2
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
        "pair_columns": quads * both * inside,
        "edge_columns": quads * (pairs - both) * inside,
        "tail_columns": (tail > 0) * pairs * inside,
        "filled_columns": (strip.width - inside) + every * (taken - pairs) * inside,
        "kept_columns": every * (parts - 1) * inside,
        f"outputs_{op.stride[0]}": outputs,
        "general_outputs": outputs * (found.ending == "any"),
        "clamped": clamped_bytes(graph, op),
    }


def _is_swept(graph: Graph, op: Op) -> bool:
    shapes = (graph.tensor(name).shape for name in (op.inputs[0], op.output))
    fits = op.kernel == (TAPS, TAPS) and op.stride in STRIDES and op.dilation == (1, 1)
    one_filter = len({channels for _, _, channels in shapes}) == 1
    return fits and one_filter and sweeps(graph, op) is not None


ROWS: tuple[KernelRow, ...] = (
    KernelRow("tr_depthwise_swept", "depthwise_conv2d", "swept.c", _is_swept, count,
              describe, scratch_bytes, lead.swept_quads, lead_is_exact=True, takes_scratch=True,
              headers=("sweep.c", "sweep.h")),
)  # fmt: skip
