"""The kernel of softmax."""

from engine.function_parameters import softmax_argument
from engine.graph import Graph, Op
from engine.kernel_row import Description, Features, KernelRow, always, in_place
from engine.options import Softmax

DISTRIBUTION_BYTES = 20  # tr_distribution in kernels.h


def describe(graph: Graph, op: Op) -> Description:
    """tr_distribution."""
    assert isinstance(op.options, Softmax)
    source, output = graph.tensor(op.inputs[0]), graph.tensor(op.output)
    argument = softmax_argument(op.options, source, output)
    height, width, channels = source.shape
    fields = {
        "rows": height * width,
        "channels": channels,
        "multiplier": argument.factor[0],
        "shift": argument.factor[1],
        "radius": argument.radius,
    }
    return Description("tr_distribution", fields, DISTRIBUTION_BYTES)


def features(graph: Graph, op: Op) -> Features:
    """tr_softmax: two exponentials an element, a division a row."""
    height, width, channels = graph.tensor(op.output).shape
    return {"calls": 1, "rows": height * width, "elements": height * width * channels}


ROWS: tuple[KernelRow, ...] = (
    KernelRow("tr_softmax", "softmax", "softmax.c", always, features, describe,
              lead_bytes=in_place, plain=True),
)  # fmt: skip
