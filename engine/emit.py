"""emit: a graph as readable C, one call a layer, in files that stand alone."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine import c_text
from engine import plan as planner
from engine.c_header import header
from engine.c_text import Names
from engine.cmodel import CModel, Layer, files_sha256
from engine.dispatch import first, layers
from engine.graph import Graph, Op
from engine.kernel_row import Description, KernelRow
from engine.plan import Plan
from engine.selection import Selection

KERNEL_FOLDER = Path(__file__).parent / "kernels"
SHARED_FILES = ("arch.h", "kernels.h")
"""What model.c includes even where no kernel is called."""


@dataclass(frozen=True)
class _Call:
    """A kernel with its operator, and the constants that it reads."""

    op: Op
    row: KernelRow
    about: Description


@dataclass(frozen=True)
class _Draft:
    """What the texts are made from.

    calls: None for a layer that nothing has to be done for; names, constants: C identifiers of
    operators and of constant tensors.
    """

    graph: Graph
    arena: Plan
    calls: tuple[_Call | None, ...]
    names: Mapping[str, str]
    constants: Mapping[str, str]

    @property
    def made(self) -> Iterator[_Call]:
        """The calls that there are."""
        return (call for call in self.calls if call)

    @property
    def const_bytes(self) -> int:
        return _constant_bytes(self.graph) + sum(call.about.const_bytes for call in self.made)


def emit(
    graph: Graph,
    plan: Plan | None = None,
    *,
    plain: bool = False,
    selection: Selection | None = None,
) -> CModel:
    """The C library of ``graph``; with ``plain``, of plain kernels only.

    selection: of kernels, by engine.chooser, the first ones when absent; plan: made here when
    absent, must have been made with the same kernels. Raises UnsupportedError for an operator that
    no kernel takes.
    """
    chosen = selection or first(graph, plain=plain)
    arena = planner.plan(graph, selection=chosen) if plan is None else plan
    table = layers(graph, arena.order, selection=chosen)
    draft = _draft(graph, arena, chosen)
    files = {
        "model.c": _model_c(draft, table),
        "model.h": header(graph, arena.offsets, arena.peak_bytes),
        **_kernel_files(draft),
    }
    flags = {name: more for name, more in chosen.flags.items() if name in files}
    inputs, outputs = (
        tuple(graph.tensor(name).shape for name in side) for side in (graph.inputs, graph.outputs)
    )
    return CModel(
        name=graph.name,
        files=files,
        arena_bytes=arena.peak_bytes,
        const_bytes=draft.const_bytes,
        layers=table,
        sha256=files_sha256({**files, **{f"{name}:": " ".join(flags[name]) for name in flags}}),
        input_shapes=inputs,
        output_shapes=outputs,
        input_names=graph.inputs,
        output_names=graph.outputs,
        flags=flags,
    )


def const_bytes(graph: Graph, *, plain: bool = False, selection: Selection | None = None) -> int:
    """Flash that the network's tables take on a 32-bit machine.

    Every reshape is taken for one that copies nothing, as it is in any good plan.
    """
    rows = (selection or first(graph, plain=plain)).rows
    pairs = (pair for pair in zip(graph.ops, rows, strict=True) if pair[0].kind != "reshape")
    tables = (row.describe(graph, op) for op, row in pairs)
    return _constant_bytes(graph) + sum(table.const_bytes for table in tables)


def _constant_bytes(graph: Graph) -> int:
    return sum(values.size for values in graph.constants.values())


def _draft(graph: Graph, arena: Plan, chosen: Selection) -> _Draft:
    steps = [(graph.ops[step], chosen.rows[step]) for step in arena.order]
    calls = tuple(
        None if is_free(op, arena) else _Call(op, row, row.describe(graph, op)) for op, row in steps
    )
    return _Draft(graph, arena, calls, Names(op.name for op, _ in steps), Names(graph.constants))


def is_free(op: Op, arena: Plan) -> bool:
    """Whether the output already is where it should be, so that no kernel is called."""
    places = arena.offsets
    return op.kind == "reshape" and places[op.inputs[0]] == places[op.output]


def _kernel_files(draft: _Draft) -> dict[str, str]:
    wanted = {file for call in draft.made for file in call.row.files} | set(SHARED_FILES)
    return {name: (KERNEL_FOLDER / name).read_text(encoding="utf-8") for name in sorted(wanted)}


def _model_c(draft: _Draft, table: Sequence[Layer]) -> str:
    graph, calls = draft.graph, zip(draft.calls, table, strict=True)
    return c_text.SOURCE.format(
        name=c_text.comment(graph.name),
        macs=graph.macs,
        arena_bytes=draft.arena.peak_bytes,
        const_bytes=draft.const_bytes,
        tables="\n".join((*_constants(draft), *(_tables(draft, call) for call in draft.made))),
        inputs=_cases("INPUT", len(graph.inputs)),
        outputs=_cases("OUTPUT", len(graph.outputs)),
        calls="\n".join(_call(draft, call, layer) for call, layer in calls),
        loads=_copies(c_text.LOAD, graph, graph.inputs),
        stores=_copies(c_text.STORE, graph, graph.outputs),
    )


def _constants(draft: _Draft) -> Iterator[str]:
    """Arrays of the constant tensors; no table of an operator ends in `_constant`."""
    for name, values in draft.graph.constants.items():
        yield c_text.bytes_table(_constant(draft, name), values)


def _constant(draft: _Draft, name: str) -> str:
    return f"{draft.constants[name]}_constant"


def _tables(draft: _Draft, call: _Call) -> str:
    name, about = draft.names[call.op.name], call.about
    texts = [table.text(f"{name}_{table.field}") for table in about.tables]
    pointers = {table.field: f"{name}_{table.field}" for table in about.tables}
    if call.row.packs_inputs:
        texts.append(c_text.pointer_table(f"{name}_inputs", _inputs(draft, call)))
    return "".join((*texts, c_text.struct(about.c_type, name, {**about.fields, **pointers})))


def _call(draft: _Draft, call: _Call | None, layer: Layer) -> str:
    sizes = f"{c_text.shape(layer.input_shape)} -> {c_text.shape(layer.output_shape)}"
    note = f"{sizes}, {layer.macs} MACs" if layer.macs else sizes
    if call is None:
        return c_text.NO_CALL.format(note=note, index=layer.index)
    arguments = ", ".join(_arguments(draft, call))
    return c_text.CALL.format(
        note=note, kernel=layer.kernel, arguments=arguments, index=layer.index
    )


def _arguments(draft: _Draft, call: _Call) -> Iterator[str]:
    name, op = draft.names[call.op.name], call.op
    yield f"&{name}_op"
    yield from [f"{name}_inputs"] if call.row.packs_inputs else _inputs(draft, call)
    yield _place(draft, op.output)
    if call.row.takes_scratch:
        at = draft.arena.scratch_offsets.get(op.name)
        yield "0" if at is None else f"arena + {at}"


def _inputs(draft: _Draft, call: _Call) -> list[str]:
    return [_place(draft, name) for name in call.row.inputs(draft.graph, call.op)]


def _place(draft: _Draft, tensor: str) -> str:
    is_constant = tensor in draft.constants
    return _constant(draft, tensor) if is_constant else f"arena + {draft.arena.offsets[tensor]}"


def _cases(side: str, count: int) -> str:
    return "\n".join(c_text.CASE.format(side=side, index=index) for index in range(count))


def _copies(template: str, graph: Graph, names: Sequence[str]) -> str:
    """Copies of tensors that follow each other in the caller's memory."""
    sizes = [graph.tensor(name).size for name in names]
    ends = itertools.accumulate(sizes, initial=0)
    return "\n".join(
        template.format(index=index, at=at)
        for index, (at, _) in enumerate(zip(ends, names, strict=False))
    )
