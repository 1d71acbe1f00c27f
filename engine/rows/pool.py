"""Kernels of pools."""

from engine import features
from engine.division import division
from engine.graph import Graph, Op
from engine.kernel_row import Description, Features, KernelRow, always
from engine.lead import own_channel
from engine.rows.fields import clamped, window_fields

POOL_BYTES = 60  # tr_pool in kernels.h
MAX_FAST_WINDOW = 255
"""Taps that 16-bit sums of tr_average_pool can hold: 255 * -128 > -2**15."""


def describe(graph: Graph, op: Op) -> Description:
    """tr_pool."""
    in_h, in_w, in_c = graph.tensor(op.inputs[0]).shape
    mean = division(op.kernel[0] * op.kernel[1]) if op.kind == "average_pool2d" else None
    scaled = {"factor": mean.factor, "addend": mean.addend} if mean else {}
    fields = {"in_h": in_h, "in_w": in_w, "channels": in_c, **window_fields(graph, op), **scaled}
    return Description("tr_pool", fields, POOL_BYTES)


def _is_small_window(_graph: Graph, op: Op) -> bool:
    return op.kernel[0] * op.kernel[1] <= MAX_FAST_WINDOW


def average_features(graph: Graph, op: Op) -> Features:
    """tr_average_pool: quads of windows that reach over the border, or of 2x2, have their own."""
    inside, quads = _inside(graph, op), graph.tensor(op.inputs[0]).shape[2] // 4
    whole = inside.count(op.kernel) if division(op.kernel[0] * op.kernel[1]) else 0
    return {
        **features.average_pool(graph, op),
        "border_quads": (len(inside) - whole) * quads,
        "small_quads": whole * quads * (op.kernel == (2, 2)),
        "clamped": clamped(graph, op),
    }


def max_features(graph: Graph, op: Op) -> Features:
    """tr_max_pool: the same loops; what is inside may be 2x2 of any window."""
    quads = graph.tensor(op.inputs[0]).shape[2] // 4
    small = _inside(graph, op).count((2, 2)) * quads
    return {
        **features.average_pool(graph, op),
        "small_quads": small,
        "clamped": clamped(graph, op),
    }


def _inside(graph: Graph, op: Op) -> list[tuple[int, int]]:
    """Rows and columns of each window that are inside of the image."""
    source, output = graph.tensor(op.inputs[0]).shape, graph.tensor(op.output).shape
    counts = []
    for axis, before in enumerate((op.padding.top, op.padding.left)):
        starts = [at * op.stride[axis] - before for at in range(output[axis])]
        ends = [min(start + op.kernel[axis], source[axis]) for start in starts]
        counts.append([end - max(start, 0) for start, end in zip(starts, ends, strict=True)])
    return [(rows, columns) for rows in counts[0] for columns in counts[1]]


# fmt: off
ROWS: tuple[KernelRow, ...] = (
    KernelRow("tr_average_pool", "average_pool2d", "average_pool.c", _is_small_window,
              average_features, describe, lead_bytes=own_channel, headers=("window.h",)),
    KernelRow("tr_average_pool_plain", "average_pool2d", "average_pool.c", always, features.plain,
              describe, lead_bytes=own_channel, plain=True, headers=("window.h",)),
    KernelRow("tr_max_pool", "max_pool2d", "max_pool.c", always, max_features,
              describe, lead_bytes=own_channel, headers=("window.h",)),
    KernelRow("tr_max_pool_plain", "max_pool2d", "max_pool.c", always, features.plain,
              describe, lead_bytes=own_channel, plain=True, headers=("window.h",)),
)
# fmt: on
