"""Which kernel runs an operator: one table row a kernel, beside the features of its loops.

The first row of the operator's kind that accepts it wins; the plain twins at the end take
whatever a fast kernel does not round exactly.
"""

from collections.abc import Callable
from dataclasses import dataclass

from engine import features
from engine.cmodel import Layer
from engine.errors import UnsupportedError
from engine.features import Features
from engine.graph import Graph, Op, Padding, op_macs
from engine.tables import add_is_fast, channels, padded

MAX_FAST_WINDOW = 255
"""Taps that 16-bit sums of tr_average_pool can hold: 255 * -128 > -2**15."""

SHARED_FILES = ("arch.h", "kernels.h", "scale.h")
INCLUDED = {
    "pointwise.c": ("matmul.h", "matmul.c"),
    "conv2d.c": ("matmul.h", "matmul.c"),
    "fully_connected.c": ("matmul.h",),
}


@dataclass(frozen=True)
class KernelRow:
    """One C kernel. scratch_bytes: of the arena, while it runs; the rest of its loops: features."""

    c_name: str
    kind: str
    source: str
    accepts: Callable[[Graph, Op], bool]
    features: Callable[[Graph, Op], Features]
    scratch_bytes: Callable[[Graph, Op], int]
    plain: bool = False

    @property
    def files(self) -> tuple[str, ...]:
        """Every file that the kernel's source needs, itself included."""
        return (*SHARED_FILES, self.source, *INCLUDED.get(self.source, ()))


def _is_fast(graph: Graph, op: Op) -> bool:
    return channels(graph, op).fast


def _is_pointwise(_graph: Graph, op: Op) -> bool:
    return op.kernel == (1, 1) and op.stride == (1, 1) and op.padding == Padding()


def _is_fast_pointwise(graph: Graph, op: Op) -> bool:
    return _is_pointwise(graph, op) and _is_fast(graph, op)


def _is_small_window(_graph: Graph, op: Op) -> bool:
    return op.kernel[0] * op.kernel[1] <= MAX_FAST_WINDOW


def _always(_graph: Graph, _op: Op) -> bool:
    return True


def _no_scratch(_graph: Graph, _op: Op) -> int:
    return 0


def _pointwise_scratch(graph: Graph, op: Op) -> int:
    return 4 * padded(graph.tensor(op.inputs[0]).shape[2])


def _conv2d_scratch(graph: Graph, op: Op) -> int:
    return 5 * padded(op.kernel[0] * op.kernel[1] * graph.tensor(op.inputs[0]).shape[2])


def _depthwise_scratch(graph: Graph, op: Op) -> int:
    return features.strips(graph, op).scratch_bytes


def _plain(c_name: str, kind: str, source: str, accepts: Callable[[Graph, Op], bool]) -> KernelRow:
    return KernelRow(c_name, kind, source, accepts, features.plain, _no_scratch, plain=True)


# fmt: off
KERNELS: tuple[KernelRow, ...] = (
    KernelRow("tr_pointwise", "conv2d", "pointwise.c",
              _is_fast_pointwise, features.pointwise, _pointwise_scratch),
    KernelRow("tr_conv2d", "conv2d", "conv2d.c",
              _is_fast, features.conv2d, _conv2d_scratch),
    KernelRow("tr_depthwise", "depthwise_conv2d", "depthwise.c",
              _is_fast, features.depthwise, _depthwise_scratch),
    KernelRow("tr_fully_connected", "fully_connected", "fully_connected.c",
              _is_fast, features.fully_connected, _no_scratch),
    KernelRow("tr_average_pool", "average_pool2d", "average_pool.c",
              _is_small_window, features.average_pool, _no_scratch),
    KernelRow("tr_add", "add", "add.c", add_is_fast, features.add, _no_scratch),
    _plain("tr_pointwise_plain", "conv2d", "pointwise.c", _is_pointwise),
    _plain("tr_conv2d_plain", "conv2d", "conv2d.c", _always),
    _plain("tr_depthwise_plain", "depthwise_conv2d", "depthwise.c", _always),
    _plain("tr_fully_connected_plain", "fully_connected", "fully_connected.c", _always),
    _plain("tr_average_pool_plain", "average_pool2d", "average_pool.c", _always),
    _plain("tr_add_plain", "add", "add.c", _always),
)
# fmt: on


def choose(graph: Graph, op: Op, *, plain: bool = False) -> KernelRow:
    """The kernel that runs ``op``; with ``plain``, its plain twin. Raises UnsupportedError."""
    for row in KERNELS:
        if row.kind == op.kind and row.plain >= plain and row.accepts(graph, op):
            return row
    kinds = ", ".join(dict.fromkeys(row.kind for row in KERNELS))
    raise UnsupportedError(
        f"operator {graph.ops.index(op)} {op.name!r} is a {op.kind}, supported are {kinds}"
    )


def layers(graph: Graph, *, plain: bool = False) -> tuple[Layer, ...]:
    """Every layer with its kernel and features, without writing any C."""
    return tuple(_layer(graph, op, index, plain) for index, op in enumerate(graph.ops))


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
