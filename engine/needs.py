"""What the kernel of each operator needs of the arena."""

from __future__ import annotations

from dataclasses import dataclass

from engine.dispatch import first
from engine.graph import Graph, Op
from engine.kernel_row import KernelRow
from engine.packing import Share
from engine.selection import Selection


@dataclass(frozen=True)
class Need:
    """Of one operator.

    scratch_bytes: while it runs; share: how its output may lie over an input that dies there,
    None: not at all; hosts: the inputs that it may lie over.
    """

    scratch_bytes: int
    share: Share | None
    hosts: tuple[str, ...]


def needs(
    graph: Graph, *, plain: bool = False, selection: Selection | None = None
) -> tuple[Need, ...]:
    """One for each operator of ``graph``, in the file's order; with ``plain``, of plain kernels."""
    rows = (selection or first(graph, plain=plain)).rows
    return tuple(need(graph, op, row) for op, row in zip(graph.ops, rows, strict=True))


def readers(graph: Graph) -> dict[str, list[int]]:
    """Operators, by index, that read each tensor of the arena: all but the constants."""
    found: dict[str, list[int]] = {name: [] for name in graph.inputs}
    found |= {op.output: [] for op in graph.ops}
    for index, op in enumerate(graph.ops):
        for name in dict.fromkeys(op.inputs):
            if name in found:
                found[name].append(index)
    return found


def need(graph: Graph, op: Op, row: KernelRow) -> Need:
    """What ``row`` needs to run ``op``."""
    lead = row.lead_bytes(graph, op)
    if lead is None:
        return Need(row.scratch_bytes(graph, op), None, ())
    # A reshape at its input's offset copies nothing; a bit above it, it would have to.
    share = Share(lead, exact=row.lead_is_exact or op.kind == "reshape")
    return Need(row.scratch_bytes(graph, op), share, _hosts(graph, op))


def _hosts(graph: Graph, op: Op) -> tuple[str, ...]:
    size = graph.tensor(op.output).size
    return tuple(
        name
        for name in dict.fromkeys(op.inputs)
        if name not in graph.constants
        and name not in graph.outputs
        and (len(op.inputs) == 1 or graph.tensor(name).size == size)
    )
