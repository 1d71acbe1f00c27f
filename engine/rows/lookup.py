"""The kernel of functions of one byte: relu, requantize, logistic and hard_swish."""

from engine import c_text
from engine.executors.functions import FUNCTIONS, function_table
from engine.graph import Graph, Op
from engine.kernel_row import Description, Features, KernelRow, Table, always, in_place

FUNCTION_BYTES = 8  # tr_function in kernels.h


def describe(graph: Graph, op: Op) -> Description:
    """tr_function with its 256 outputs."""
    source, output = graph.tensor(op.inputs[0]), graph.tensor(op.output)
    values = function_table(op, source, output)
    table = Table("outputs", lambda name: c_text.bytes_table(name, values), values.size)
    return Description("tr_function", {"size": output.size}, FUNCTION_BYTES, (table,))


def features(graph: Graph, op: Op) -> Features:
    """tr_lookup: four elements a turn, then one by one."""
    quads, singles = divmod(graph.tensor(op.output).size, 4)
    return {"calls": 1, "quads": quads, "singles": singles}


ROWS: tuple[KernelRow, ...] = tuple(
    KernelRow("tr_lookup", kind, "lookup.c", always, features, describe,
              lead_bytes=in_place, plain=True)
    for kind in FUNCTIONS
)  # fmt: skip
