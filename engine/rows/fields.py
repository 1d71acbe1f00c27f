"""Struct members that several kernels share."""

from engine.graph import Graph, Op


def window_fields(graph: Graph, op: Op) -> dict[str, int]:
    """The output's size, and how a window slides."""
    out_h, out_w, _ = graph.tensor(op.output).shape
    return {
        "out_h": out_h,
        "out_w": out_w,
        "kernel_h": op.kernel[0],
        "kernel_w": op.kernel[1],
        "stride_h": op.stride[0],
        "stride_w": op.stride[1],
        "pad_top": op.padding.top,
        "pad_left": op.padding.left,
        "clamp_min": op.clamp[0],
        "clamp_max": op.clamp[1],
    }


def clamped(graph: Graph, op: Op) -> int:
    """Bytes that tr_clamp visits: none where the clamp is all of int8."""
    return 0 if op.clamp == (-128, 127) else graph.tensor(op.output).size
