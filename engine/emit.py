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

KERNEL_FOLDER = Path(__file__).parent / "kernels"


def emit(graph: Graph, plan: Plan | None = None, *, plain: bool = False) -> CModel:
    """The C library of ``graph``; with ``plain``, of plain kernels only.

    plan: made here when absent; must have been made with the same ``plain``. Raises
    UnsupportedError for an operator that no kernel takes.
    """
    arena = planner.plan(graph, plain=plain) if plan is None else plan
    table = layers(graph, arena.order, plain=plain)
    files = {
        "model.c": _model_c(graph, arena, table, plain),
        "model.h": _model_h(graph, arena),
        **_kernel_files(graph, plain),
    }
    return CModel(
        name=graph.name,
        files=files,
        arena_bytes=arena.peak_bytes,
        const_bytes=const_bytes(graph, plain=plain),
        input_bytes=graph.tensor(graph.input).size,
        output_bytes=graph.tensor(graph.output).size,
        layers=table,
        sha256=files_sha256(files),
        input_shape=graph.tensor(graph.input).shape,
        output_shape=graph.tensor(graph.output).shape,
    )


def const_bytes(graph: Graph, *, plain: bool = False) -> int:
    """Flash that the network's tables take on a 32-bit machine."""
    tables = (choose(graph, op, plain=plain).describe(graph, op) for op in graph.ops)
    constants = sum(values.size for values in graph.constants.values())
    return constants + sum(table.const_bytes for table in tables)


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


def _model_c(graph: Graph, arena: Plan, table: tuple[Layer, ...], plain: bool) -> str:
    names = Names(op.name for op in graph.ops)
    ops = [graph.ops[step] for step in arena.order]
    tables = [_tables(graph, op, names[op.name], plain) for op in ops]
    calls = [
        _call(graph, op, layer, arena, names, plain) for op, layer in zip(ops, table, strict=True)
    ]
    return c_text.SOURCE.format(
        name=c_text.comment(graph.name),
        macs=graph.macs,
        arena_bytes=arena.peak_bytes,
        const_bytes=const_bytes(graph, plain=plain),
        arena=c_text.ARENA if arena.peak_bytes else "",
        tables="\n".join(tables),
        calls="\n".join(calls),
    )


def _tables(graph: Graph, op: Op, name: str, plain: bool) -> str:
    about = choose(graph, op, plain=plain).describe(graph, op)
    texts = [table.text(f"{name}_{table.field}") for table in about.tables]
    pointers = {table.field: f"{name}_{table.field}" for table in about.tables}
    return "".join((*texts, c_text.struct(about.c_type, name, {**about.fields, **pointers})))


def _call(
    graph: Graph, op: Op, layer: Layer, arena: Plan, names: Mapping[str, str], plain: bool
) -> str:
    row = choose(graph, op, plain=plain)
    places = [_place(graph, arena, name) for name in (*row.inputs(graph, op), op.output)]
    if row.takes_scratch:
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
