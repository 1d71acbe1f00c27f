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


def layers(
    graph: Graph, order: Sequence[int] | None = None, *, plain: bool = False
) -> tuple[Layer, ...]:
    """Every layer with its kernel and features, without writing any C.

    order: operators by index, in execution order; that of the graph when absent.
    """
    steps = range(len(graph.ops)) if order is None else order
    ops = [graph.ops[step] for step in steps]
    return tuple(_layer(graph, op, index, plain) for index, op in enumerate(ops))


def _layer(graph: Graph, op: Op, index: int, plain: bool) -> Layer:
    row = choose(graph, op, plain=plain)
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
