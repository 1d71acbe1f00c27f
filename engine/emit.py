"""emit: a graph as readable C, one call a layer, in files that stand alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from engine import c_text
from engine import plan as planner
from engine.c_text import Names
from engine.cmodel import CModel, Layer, files_sha256
from engine.dispatch import choose, layers
from engine.graph import Graph, Op
from engine.plan import Plan
from engine.tables import (
    CHANNEL_BYTES,
    Factor,
    add_factors,
    channel_columns,
    channel_count,
    sorted_inputs,
    weight_rows,
)

KERNEL_FOLDER = Path(__file__).parent / "kernels"
STRUCT_BYTES = {"tr_conv": 72, "tr_pool": 52, "tr_sum": 48}
"""Sizes on a 32-bit machine of the structs in kernels.h."""


def emit(graph: Graph, plan: Plan | None = None, *, plain: bool = False) -> CModel:
    """The C library of ``graph``; with ``plain``, of plain kernels only.

    plan: made here when absent; must have been made with the same ``plain``. Raises
    UnsupportedError for an operator that no kernel takes.
    """
    arena = planner.plan(graph, plain=plain) if plan is None else plan
    table = layers(graph, plain=plain)
    files = {
        "model.c": _model_c(graph, arena, table),
        "model.h": _model_h(graph, arena),
        **_kernel_files(graph, plain),
    }
    return CModel(
        name=graph.name,
        files=files,
        arena_bytes=arena.peak_bytes,
        const_bytes=sum(const_bytes(op) for op in graph.ops),
        input_bytes=graph.tensor(graph.input).size,
        output_bytes=graph.tensor(graph.output).size,
        layers=table,
        sha256=files_sha256(files),
        input_shape=graph.tensor(graph.input).shape,
        output_shape=graph.tensor(graph.output).shape,
    )


def const_bytes(op: Op) -> int:
    """Flash that the tables of one operator take on a 32-bit machine."""
    if op.kind == "add":
        return STRUCT_BYTES["tr_sum"]
    if op.bias is None:
        return STRUCT_BYTES["tr_pool"]
    return weight_rows(op).size + CHANNEL_BYTES * channel_count(op) + STRUCT_BYTES["tr_conv"]


def _kernel_files(graph: Graph, plain: bool) -> dict[str, str]:
    rows = [choose(graph, op, plain=plain) for op in graph.ops]
    wanted = sorted({file for row in rows for file in row.files})
    return {name: (KERNEL_FOLDER / name).read_text(encoding="utf-8") for name in wanted}


def _model_h(graph: Graph, arena: Plan) -> str:
    source, result = graph.tensor(graph.input), graph.tensor(graph.output)
    return c_text.HEADER.format(
        name=c_text.comment(graph.name),
        input_bytes=source.size,
        output_bytes=result.size,
        arena_bytes=arena.peak_bytes,
        layer_count=len(graph.ops),
        input_text=c_text.shape(source.shape),
        output_text=c_text.shape(result.shape),
        input_scale=c_text.float_literal(source.quant.scale),
        input_zero_point=c_text.zero_point(source.quant.zero_point),
        output_scale=c_text.float_literal(result.quant.scale),
        output_zero_point=c_text.zero_point(result.quant.zero_point),
    )


def _model_c(graph: Graph, arena: Plan, table: tuple[Layer, ...]) -> str:
    names = Names(op.name for op in graph.ops)
    tables = [_tables(graph, op, names[op.name]) for op in graph.ops]
    calls = [
        _call(graph, op, layer, arena, names) for op, layer in zip(graph.ops, table, strict=True)
    ]
    return c_text.SOURCE.format(
        name=c_text.comment(graph.name),
        macs=graph.macs,
        arena_bytes=arena.peak_bytes,
        const_bytes=sum(const_bytes(op) for op in graph.ops),
        arena=c_text.ARENA if arena.peak_bytes else "",
        tables="\n".join(tables),
        calls="\n".join(calls),
    )


def struct_fields(graph: Graph, op: Op) -> tuple[str, dict[str, int | str]]:
    """The C type that describes ``op`` to its kernel, and the fields of it but for tables."""
    if op.kind == "add":
        return "tr_sum", _add_fields(graph, op)
    if op.kind == "average_pool2d":
        return "tr_pool", _pool_fields(graph, op)
    return "tr_conv", _conv_fields(graph, op)


def _tables(graph: Graph, op: Op, name: str) -> str:
    c_type, fields = struct_fields(graph, op)
    if op.bias is None:
        return c_text.struct(c_type, name, fields)
    weights, ends = f"{name}_weights", f"{name}_channels"
    return "".join(
        (
            c_text.bytes_table(weights, weight_rows(op)),
            c_text.channel_table(ends, channel_columns(graph, op)),
            c_text.struct(c_type, name, {**fields, "weights": weights, "channels": ends}),
        )
    )


def _conv_fields(graph: Graph, op: Op) -> dict[str, int | str]:
    source, output = graph.tensor(op.inputs[0]), graph.tensor(op.output)
    in_h, in_w, in_c = (1, 1, source.size) if op.kind == "fully_connected" else source.shape
    sizes = {"in_h": in_h, "in_w": in_w, "in_c": in_c}
    return {**sizes, **_window_fields(graph, op), "out_c": output.shape[2],
            "in_zero": source.quant.zero_point, "out_zero": output.quant.zero_point}  # fmt: skip


def _pool_fields(graph: Graph, op: Op) -> dict[str, int | str]:
    in_h, in_w, in_c = graph.tensor(op.inputs[0]).shape
    return {"in_h": in_h, "in_w": in_w, "channels": in_c, **_window_fields(graph, op)}


def _window_fields(graph: Graph, op: Op) -> dict[str, int]:
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


def _add_fields(graph: Graph, op: Op) -> dict[str, int | str]:
    a, b, out = (graph.tensor(name) for name in (*sorted_inputs(graph, op), op.output))
    factors = add_factors(graph, op)
    return {
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


def _factor(factor: Factor) -> str:
    return f"{{{factor[0]}, {factor[1]}}}"


def _call(graph: Graph, op: Op, layer: Layer, arena: Plan, names: Mapping[str, str]) -> str:
    places = [_place(graph, arena, name) for name in (*sorted_inputs(graph, op), op.output)]
    if op.bias is not None:
        at = arena.scratch_offsets.get(op.name)
        places.append("0" if at is None else f"arena + {at}")
    arguments = ", ".join((f"&{names[op.name]}_op", *places))
    sizes = f"{c_text.shape(layer.input_shape)} -> {c_text.shape(layer.output_shape)}"
    note = f"{sizes}, {layer.macs} MACs" if layer.macs else sizes
    return c_text.CALL.format(
        note=note, kernel=layer.kernel, arguments=arguments, index=layer.index
    )


def _place(graph: Graph, arena: Plan, tensor: str) -> str:
    if tensor == graph.input:
        return "in"
    return "out" if tensor == graph.output else f"arena + {arena.offsets[tensor]}"
