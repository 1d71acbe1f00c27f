"""Kernels of mean."""

from dataclasses import dataclass

from engine.function_parameters import mean_factor
from engine.graph import Graph, Op
from engine.kernel_row import Description, Features, KernelRow, always, in_place
from engine.options import Mean

REDUCTION_BYTES = 44  # tr_reduction in kernels.h
MAX_FAST_COUNT = 255
"""Elements that 16-bit sums of tr_reduce_mean can hold: 255 * -128 > -2**15."""


@dataclass(frozen=True)
class Reduction:
    """The input as five axes, of which `far` and `near` are summed up."""

    outer: int
    far: int
    middle: int
    near: int
    inner: int

    @property
    def outputs(self) -> int:
        """Elements of the output."""
        return self.outer * self.middle * self.inner

    @property
    def count(self) -> int:
        """Elements behind each of them."""
        return self.far * self.near


def reduction(graph: Graph, op: Op) -> Reduction:
    """The axes of a mean, neighbours of the same fate as one."""
    assert isinstance(op.options, Mean)
    height, width, channels = graph.tensor(op.inputs[0]).shape
    sizes = {
        (0,): (1, 1, 1, height, width * channels),
        (1,): (height, 1, 1, width, channels),
        (2,): (height * width, 1, 1, channels, 1),
        (0, 1): (1, 1, 1, height * width, channels),
        (0, 2): (1, height, width, channels, 1),
        (1, 2): (height, 1, 1, width * channels, 1),
        (0, 1, 2): (1, 1, 1, height * width * channels, 1),
    }
    return Reduction(*sizes[op.options.axes])


def describe(graph: Graph, op: Op) -> Description:
    """tr_reduction."""
    source, output = graph.tensor(op.inputs[0]), graph.tensor(op.output)
    axes = reduction(graph, op)
    multiplier, left = mean_factor(source, output)
    fields: dict[str, int | str] = {
        **vars(axes),
        "base": -source.quant.zero_point * axes.count,
        "out_zero": output.quant.zero_point,
        "factor": f"{{{multiplier}, {-left}}}",
        "clamp_min": op.clamp[0],
        "clamp_max": op.clamp[1],
    }
    return Description("tr_reduction", fields, REDUCTION_BYTES)


def fast_features(graph: Graph, op: Op) -> Features:
    """tr_reduce_mean: four outputs at once, those that are left as in its plain twin."""
    axes = reduction(graph, op)
    quads, singles = divmod(axes.inner, 4)
    return {
        "calls": 1,
        "quads": axes.outer * quads,
        "words": axes.outer * quads * axes.near,
        "singles": axes.outer * singles,
        "taps": axes.outer * singles * axes.near,
    }


def plain_features(graph: Graph, op: Op) -> Features:
    """tr_reduce_mean_plain: outputs, and the rows and elements behind them."""
    axes = reduction(graph, op)
    outputs = axes.outputs
    return {
        "calls": 1,
        "outputs": outputs,
        "rows": outputs * axes.far,
        "taps": outputs * axes.count,
    }


def _is_fast(graph: Graph, op: Op) -> bool:
    axes = reduction(graph, op)  # with an inner of more than 1, far and middle are 1
    return axes.inner >= 4 and axes.count <= MAX_FAST_COUNT


ROWS: tuple[KernelRow, ...] = (
    KernelRow("tr_reduce_mean", "mean", "mean.c", _is_fast, fast_features, describe,
              lead_bytes=in_place),
    KernelRow("tr_reduce_mean_plain", "mean", "mean.c", always, plain_features, describe,
              lead_bytes=in_place, plain=True),
)  # fmt: skip
