"""Kernels of pools."""

from engine import features
from engine.graph import Graph, Op
from engine.kernel_row import Description, Features, KernelRow, always
from engine.lead import own_channel
from engine.rows.fields import clamped, window_fields

POOL_BYTES = 52  # tr_pool in kernels.h
MAX_FAST_WINDOW = 255
"""Taps that 16-bit sums of tr_average_pool can hold: 255 * -128 > -2**15."""


def describe(graph: Graph, op: Op) -> Description:
    """tr_pool."""
    in_h, in_w, in_c = graph.tensor(op.inputs[0]).shape
    fields = {"in_h": in_h, "in_w": in_w, "channels": in_c, **window_fields(graph, op)}
    return Description("tr_pool", fields, POOL_BYTES)


def _is_small_window(_graph: Graph, op: Op) -> bool:
    return op.kernel[0] * op.kernel[1] <= MAX_FAST_WINDOW


def max_features(graph: Graph, op: Op) -> Features:
    """tr_max_pool: the loops of tr_average_pool, then a clamp."""
    return {**features.average_pool(graph, op), "clamped": clamped(graph, op)}


# fmt: off
ROWS: tuple[KernelRow, ...] = (
    KernelRow("tr_average_pool", "average_pool2d", "average_pool.c", _is_small_window,
              features.average_pool, describe, lead_bytes=own_channel, headers=("window.h",)),
    KernelRow("tr_average_pool_plain", "average_pool2d", "average_pool.c", always, features.plain,
              describe, lead_bytes=own_channel, plain=True, headers=("window.h",)),
    KernelRow("tr_max_pool", "max_pool2d", "max_pool.c", always, max_features,
              describe, lead_bytes=own_channel, headers=("window.h",)),
    KernelRow("tr_max_pool_plain", "max_pool2d", "max_pool.c", always, features.plain,
              describe, lead_bytes=own_channel, plain=True, headers=("window.h",)),
)
# fmt: on
