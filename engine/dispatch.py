"""Which kernel runs an operator: the first row of its kind that accepts it.

The rows stand in ``engine/rows``; the plain twins at the end of each family take whatever a fast
kernel does not round exactly.
"""

from collections.abc import Sequence

from engine.cmodel import Layer
from engine.errors import UnsupportedError
from engine.graph import Graph, Op, op_macs
from engine.kernel_row import KernelRow
from engine.rows import ROWS
from engine.selection import Selection

KERNELS = ROWS


def choose(graph: Graph, op: Op, *, plain: bool = False) -> KernelRow:
    """The kernel that runs ``op``; with ``plain``, its plain twin. Raises UnsupportedError."""
    for row in KERNELS:
        if row.kind == op.kind and row.plain >= plain and row.accepts(graph, op):
            return row
    kinds = ", ".join(dict.fromkeys(row.kind for row in KERNELS))
    raise UnsupportedError(
        f"operator {graph.ops.index(op)} {op.name!r} is a {op.kind}, supported are {kinds}"
    )


def candidates(graph: Graph, op: Op) -> tuple[KernelRow, ...]:
    """Every kernel that computes ``op`` exactly, the fastest first; a plain one where it must."""
    fast = (row for row in KERNELS if row.kind == op.kind and not row.plain)
    return tuple(row for row in fast if row.accepts(graph, op)) or (choose(graph, op),)


def first(graph: Graph, *, plain: bool = False) -> Selection:
    """The first kernel that takes each operator; with ``plain``, its plain twin."""
    return Selection(tuple(choose(graph, op, plain=plain) for op in graph.ops))


def layers(
    graph: Graph,
    order: Sequence[int] | None = None,
    *,
    plain: bool = False,
    selection: Selection | None = None,
) -> tuple[Layer, ...]:
    """Every layer with its kernel and features, without writing any C.

    order: operators by index, in execution order; that of the graph when absent. selection: of
    kernels, the first ones when absent.
    """
    steps = range(len(graph.ops)) if order is None else order
    rows = (selection or first(graph, plain=plain)).rows
    return tuple(
        _layer(graph, graph.ops[step], index, rows[step]) for index, step in enumerate(steps)
    )


def _layer(graph: Graph, op: Op, index: int, row: KernelRow) -> Layer:
    return Layer(
        index=index,
        name=op.name,
        kind=op.kind,
        kernel=row.c_name,
        input_shape=graph.tensor(op.inputs[0]).shape,
        output_shape=graph.tensor(op.output).shape,
        macs=op_macs(graph, op),
        features={name: float(count) for name, count in row.features(graph, op).items()},
    )
