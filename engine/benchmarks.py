"""The layers by which the kernels are judged: one case a graph, random weights, fixed for ever.

A change of a kernel is measured on these before and after, so that figures of different days and
machines can be held together. Shapes are those of small mobile networks, in the sizes that fit the
smallest board of the rack; weights, scales and zero points are as quantisation makes them, so that
every case runs on its fast kernel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.graph import Graph, Op, Padding, Quant, Tensor
from engine.graph_checks import WEIGHT_RANK
from engine.options import Mean
from engine.shapes import output_shape

SEED = 2026
SPREAD = 74  # standard deviation of uniform int8 values
OUTPUT_STEPS = 40  # wanted standard deviation of outputs, so that few saturate


@dataclass(frozen=True)
class _Case:
    name: str
    kind: str
    shape: tuple[int, int, int]
    channels: int = 0
    kernel: int = 1
    stride: int = 1
    dilation: int = 1
    rectified: bool = False

    @property
    def reach(self) -> int:
        """Rows, and columns, that the kernel spans."""
        return (self.kernel - 1) * self.dilation + 1


CASES = (
    _Case("pointwise 16-32 at 24x24", "conv2d", (24, 24, 16), 32),
    _Case("pointwise 32-32 at 24x24", "conv2d", (24, 24, 32), 32),
    _Case("pointwise 64-64 at 12x12", "conv2d", (12, 12, 64), 64),
    _Case("pointwise 128-128 at 6x6", "conv2d", (6, 6, 128), 128),
    _Case("depthwise 3x3 at 24x24x32", "depthwise_conv2d", (24, 24, 32), kernel=3),
    _Case("depthwise 3x3 s2 at 24x24x32", "depthwise_conv2d", (24, 24, 32), kernel=3, stride=2),
    _Case("depthwise 5x5 at 12x12x32", "depthwise_conv2d", (12, 12, 32), kernel=5),
    _Case("depthwise 7x7 at 12x12x32", "depthwise_conv2d", (12, 12, 32), kernel=7),
    _Case("conv 3x3 s2 3-8 at 96x96", "conv2d", (96, 96, 3), 8, kernel=3, stride=2),
    _Case("conv 3x3 16-16 at 32x32", "conv2d", (32, 32, 16), 16, kernel=3),
    _Case("fully connected 640-128", "fully_connected", (1, 1, 640), 128),
    _Case("average pool 2x2 at 24x24x32", "average_pool2d", (24, 24, 32), kernel=2, stride=2),
    _Case("average pool 6x6 at 6x6x128", "average_pool2d", (6, 6, 128), kernel=6, stride=6),
)
LATER_CASES = (
    _Case("depthwise 3x3 at 48x48x8", "depthwise_conv2d", (48, 48, 8), kernel=3),
    _Case("depthwise 3x3 at 24x24x19", "depthwise_conv2d", (24, 24, 19), kernel=3),
    _Case("depthwise 3x3 d2 at 24x24x8", "depthwise_conv2d", (24, 24, 8), kernel=3, dilation=2),
    _Case("conv 3x3 d2 16-16 at 16x16", "conv2d", (16, 16, 16), 16, kernel=3, dilation=2),
    _Case("max pool 2x2 at 24x24x32", "max_pool2d", (24, 24, 32), kernel=2, stride=2),
)
"""Behind all others, so that the random weights of those stay what they were."""
LATEST_CASES = (
    _Case("pointwise 8-16 at 48x48, ReLU", "conv2d", (48, 48, 8), 16, rectified=True),
    _Case("pointwise 16-32 at 24x24, ReLU", "conv2d", (24, 24, 16), 32, rectified=True),
    _Case("pointwise 64-64 at 12x12, ReLU", "conv2d", (12, 12, 64), 64, rectified=True),
    _Case("pointwise 31-22 at 3x3, ReLU", "conv2d", (3, 3, 31), 22, rectified=True),
    _Case("conv 3x3 s2 3-8, ReLU", "conv2d", (96, 96, 3), 8, kernel=3, stride=2, rectified=True),
    _Case("conv 3x3 16-16 at 32x32, ReLU", "conv2d", (32, 32, 16), 16, kernel=3, rectified=True),
    _Case("conv 3x3 128-32 at 6x6", "conv2d", (6, 6, 128), 32, kernel=3),
    _Case(
        "depthwise 3x3 at 24x24x32, ReLU",
        "depthwise_conv2d",
        (24, 24, 32),
        kernel=3,
        rectified=True,
    ),
    _Case(
        "depthwise 3x3 s2 at 24x24x32, ReLU",
        "depthwise_conv2d",
        (24, 24, 32),
        kernel=3,
        stride=2,
        rectified=True,
    ),
    _Case(
        "depthwise 3x3 at 6x6x128, ReLU", "depthwise_conv2d", (6, 6, 128), kernel=3, rectified=True
    ),
    _Case(
        "depthwise 5x5 at 12x12x32, ReLU",
        "depthwise_conv2d",
        (12, 12, 32),
        kernel=5,
        rectified=True,
    ),
    _Case(
        "depthwise 5x5 s2 at 24x24x16, ReLU",
        "depthwise_conv2d",
        (24, 24, 16),
        kernel=5,
        stride=2,
        rectified=True,
    ),
    _Case(
        "depthwise 7x7 at 12x12x32, ReLU",
        "depthwise_conv2d",
        (12, 12, 32),
        kernel=7,
        rectified=True,
    ),
    _Case(
        "depthwise 7x7 s2 at 24x24x16, ReLU",
        "depthwise_conv2d",
        (24, 24, 16),
        kernel=7,
        stride=2,
        rectified=True,
    ),
)
"""Behind those again; outputs after a ReLU have their zero point at the end of int8."""

LAST_CASES = (_Case("fully connected 140-64", "fully_connected", (1, 1, 140), 64),)
"""And behind those."""
NEWEST_CASES = (
    _Case("pointwise 72-8 at 12x12, ReLU", "conv2d", (12, 12, 72), 8, rectified=True),
    _Case("fully connected 300-32", "fully_connected", (1, 1, 300), 32),
)
"""And behind all of those."""

MAP = (24, 24, 32)  # of cases with several inputs
NEAR_SCALES, FAR_SCALES = (0.03, 0.04, 0.06), (0.45, 0.0625, 1.0)
"""Of two inputs and their sum; for the second three no line is found, see engine/blend.py."""


def kernel_suite() -> tuple[Graph, ...]:
    """Every case as a network whose last operator is the one to time; always the same.

    Most have that operator alone. An add or sub has inputs with scales of their own: a
    pointwise-sized depthwise layer before it makes the second of them. A mul has a gate for each
    channel, made by an average pool.
    """
    rng = np.random.default_rng(SEED)
    first = (*(_network(case, rng) for case in CASES), _sum("add", rng), _add_to_itself())
    later = (*(_network(case, rng) for case in LATER_CASES), _sum("sub", rng))
    latest = tuple(_network(case, rng) for case in LATEST_CASES)
    last = (*(_network(case, rng) for case in LAST_CASES), *_far_sums(rng))
    newest = (_network(case, rng) for case in NEWEST_CASES)
    return (*first, *later, _gate(), _mean(), *latest, *last, *newest)


def _network(case: _Case, rng: np.random.Generator) -> Graph:
    source = Tensor("in", case.shape, Quant(0.03, -128))
    quant = Quant(0.04, -128 if case.rectified else -5)
    if case.kind.endswith("_pool2d"):
        quant = source.quant
    op = _operator(case, "out", quant.scale / source.quant.scale, rng)
    output = Tensor("out", output_shape(op, [source]), quant)
    return Graph(case.name, (source, output), (op,), ("in",), ("out",))


def _sum(
    kind: str,
    rng: np.random.Generator,
    scales: tuple[float, float, float] = NEAR_SCALES,
    suffix: str = "",
) -> Graph:
    case = _Case("second input", "depthwise_conv2d", MAP)
    one, two, out = scales
    tensors = _tensors(in_=Quant(one, -128), other=Quant(two, -5), out=Quant(out, -64))
    ops = (_operator(case, "other", two / one, rng), Op(kind, kind, ("in", "other"), "out"))
    return Graph(f"{kind} at 24x24x32{suffix}", tensors, ops, ("in",), ("out",))


def _far_sums(rng: np.random.Generator) -> tuple[Graph, ...]:
    return tuple(_sum(kind, rng, FAR_SCALES, ", rounded three times") for kind in ("add", "sub"))


def _add_to_itself() -> Graph:
    """Two inputs of one scale."""
    tensors = _tensors(in_=Quant(0.03, -5), out=Quant(0.08, -5))
    op = Op("add", "add", ("in", "in"), "out")
    return Graph("add at 24x24x32, one scale", tensors, (op,), ("in",), ("out",))


def _gate() -> Graph:
    height, width, channels = MAP
    source, output = _tensors(in_=Quant(0.03, -128), out=Quant(0.12, -128))
    gate = Tensor("gate", (1, 1, channels), source.quant)
    ops = (
        Op("average_pool2d", "gate", ("in",), "gate", (height, width)),
        Op("mul", "mul", ("in", "gate"), "out"),
    )
    return Graph("mul at 24x24x32 by 1x1x32", (source, gate, output), ops, ("in",), ("out",))


def _mean() -> Graph:
    source = Tensor("in", (12, 12, 64), Quant(0.03, -5))
    output = Tensor("out", (1, 1, 64), Quant(0.003, -5))
    op = Op("mean", "mean", ("in",), "out", options=Mean((0, 1)))
    return Graph("mean of 12x12x64", (source, output), (op,), ("in",), ("out",))


def _tensors(**quants: Quant) -> tuple[Tensor, ...]:
    return tuple(Tensor(name.rstrip("_"), MAP, quant) for name, quant in quants.items())


def _operator(case: _Case, output: str, ratio: float, rng: np.random.Generator) -> Op:
    """ratio: the scale of the output over that of the input."""
    size = (case.kernel, case.kernel)
    common = (case.kind, case.name, ("in",), output, size, (case.stride, case.stride))
    apart = (case.dilation, case.dilation)
    if case.kind not in WEIGHT_RANK:
        return Op(*common)
    inputs = case.shape[2]
    shape = {
        "conv2d": (case.channels, *size, inputs),
        "depthwise_conv2d": (*size, inputs),
        "fully_connected": (case.channels, inputs),
    }[case.kind]
    weights = rng.integers(-127, 128, shape).astype(np.int8)
    channels = case.channels or inputs
    typical_sum = SPREAD**2 * np.sqrt(weights.size / channels)
    scales = rng.uniform(0.7, 1.4, channels) * ratio * OUTPUT_STEPS / typical_sum
    bias = rng.integers(-2000, 2001, channels)
    if case.rectified:  # as many outputs are seen as without
        bias += np.rint(128 * ratio / scales).astype(np.int64)
    return Op(
        *common,
        _same(case),
        dilation=apart,
        weights=weights,
        weight_scales=scales,
        bias=bias.astype(np.int32),
    )


def _same(case: _Case) -> Padding:
    """As much padding as an output of ceil(size / stride) needs, the larger half behind."""
    size = case.shape[0]
    missing = max(0, (-(-size // case.stride) - 1) * case.stride + case.reach - size)
    before, after = missing // 2, missing - missing // 2
    return Padding(before, after, before, after)
