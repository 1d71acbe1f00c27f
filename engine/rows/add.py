"""Kernels of add."""

from engine import features
from engine.graph import Graph, Op
from engine.kernel_row import Description, KernelRow
from engine.tables import Factor, add_factors, add_is_fast, sorted_inputs

SUM_BYTES = 48  # tr_sum in kernels.h


def describe(graph: Graph, op: Op) -> Description:
    """tr_sum."""
    a, b, out = (graph.tensor(name) for name in (*sorted_inputs(graph, op), op.output))
    factors = add_factors(graph, op)
    fields: dict[str, int | str] = {
        "size": out.size,
        "zero_a": a.quant.zero_point,
        "zero_b": b.quant.zero_point,
        "out_zero": out.quant.zero_point,
        "factor_a": _factor(factors[0]),
        "factor_b": _factor(factors[1]),
        "factor_out": _factor(factors[2]),
        "clamp_min": op.clamp[0],
        "clamp_max": op.clamp[1],
    }
    return Description("tr_sum", fields, SUM_BYTES)


def _factor(factor: Factor) -> str:
    return f"{{{factor[0]}, {factor[1]}}}"


def _same_shapes(graph: Graph, op: Op) -> bool:
    return graph.tensor(op.inputs[0]).shape == graph.tensor(op.inputs[1]).shape


def _is_fast(graph: Graph, op: Op) -> bool:
    return _same_shapes(graph, op) and add_is_fast(graph, op)


def _in_place(_graph: Graph, _op: Op) -> int:
    return 0


ROWS: tuple[KernelRow, ...] = (
    KernelRow("tr_add", "add", "add.c", _is_fast, features.add, describe,
              lead_bytes=_in_place, inputs=sorted_inputs),
    KernelRow("tr_add_plain", "add", "add.c", _same_shapes, features.plain, describe,
              lead_bytes=_in_place, inputs=sorted_inputs, plain=True),
)  # fmt: skip
