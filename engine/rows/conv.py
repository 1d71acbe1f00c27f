"""Kernels of operators with weights: convolutions of any kind, and fully connected."""

from engine import c_text, features, lead
from engine.graph import Graph, Op, Padding
from engine.kernel_row import Description, KernelRow, Table, always
from engine.rows.fields import window_fields
from engine.strips import strips
from engine.tables import (
    CHANNEL_BYTES,
    channel_columns,
    channel_count,
    channels,
    padded,
    weight_bytes,
    weight_rows,
)

CONV_BYTES = 80  # tr_conv in kernels.h
MATMUL = ("matmul.h", "matmul.c")
PATCHES = (*MATMUL, "patch.h")


def describe(graph: Graph, op: Op) -> Description:
    """tr_conv with its weights and channels, whose texts are made when they are asked for."""
    weights = Table(
        "weights", lambda name: c_text.bytes_table(name, weight_rows(op)), weight_bytes(op)
    )
    ends = Table(
        "channels",
        lambda name: c_text.channel_table(name, channel_columns(graph, op)),
        CHANNEL_BYTES * channel_count(op),
    )
    return Description("tr_conv", conv_fields(graph, op), CONV_BYTES, (weights, ends))


def conv_fields(graph: Graph, op: Op) -> dict[str, int | str]:
    """The members of tr_conv but its tables."""
    source, output = graph.tensor(op.inputs[0]), graph.tensor(op.output)
    in_h, in_w, in_c = (1, 1, source.size) if op.kind == "fully_connected" else source.shape
    sizes = {"in_h": in_h, "in_w": in_w, "in_c": in_c}
    apart = {"dilation_h": op.dilation[0], "dilation_w": op.dilation[1]}
    return {**sizes, **window_fields(graph, op), **apart, "out_c": output.shape[2],
            "in_zero": source.quant.zero_point, "out_zero": output.quant.zero_point}  # fmt: skip


def _is_fast(graph: Graph, op: Op) -> bool:
    return channels(graph, op).fast


def is_pointwise(_graph: Graph, op: Op) -> bool:
    """Whether the windows are the pixels of the input."""
    return op.kernel == (1, 1) and op.stride == (1, 1) and op.padding == Padding()


def _is_fast_depthwise(graph: Graph, op: Op) -> bool:
    shapes = (graph.tensor(name).shape for name in (op.inputs[0], op.output))
    return len({channels for _, _, channels in shapes}) == 1 and _is_fast(graph, op)


def _conv2d_scratch(graph: Graph, op: Op) -> int:
    return 5 * padded(op.kernel[0] * op.kernel[1] * graph.tensor(op.inputs[0]).shape[2])


def _depthwise_scratch(graph: Graph, op: Op) -> int:
    return strips(graph, op).scratch_bytes


# fmt: off
ROWS: tuple[KernelRow, ...] = (
    KernelRow("tr_conv2d_pairs", "conv2d", "conv2d.c", _is_fast, features.conv2d,
              describe, _conv2d_scratch, lead.pixel_pairs, takes_scratch=True, headers=PATCHES),
    KernelRow("tr_depthwise", "depthwise_conv2d", "depthwise.c", _is_fast_depthwise,
              features.depthwise, describe, _depthwise_scratch, lead.quads, lead_is_exact=True,
              takes_scratch=True),
    KernelRow("tr_fully_connected_pairs", "fully_connected", "fully_connected.c", _is_fast,
              features.fully_connected, describe, takes_scratch=True, headers=("matmul.h",)),
    KernelRow("tr_pointwise_plain", "conv2d", "pointwise.c", is_pointwise, features.plain,
              describe, lead_bytes=lead.every_channel, takes_scratch=True, plain=True,
              headers=("matmul.h",)),
    KernelRow("tr_conv2d_plain", "conv2d", "conv2d.c", always, features.plain,
              describe, lead_bytes=lead.every_channel, takes_scratch=True, plain=True,
              headers=PATCHES),
    KernelRow("tr_depthwise_plain", "depthwise_conv2d", "depthwise.c", always, features.plain,
              describe, lead_bytes=lead.own_channel, takes_scratch=True, plain=True),
    KernelRow("tr_fully_connected_plain", "fully_connected", "fully_connected.c", always,
              features.plain, describe, takes_scratch=True, plain=True, headers=("matmul.h",)),
)
# fmt: on
