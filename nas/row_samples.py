"""Images that run every row of the kernel table: what keeps a latency model from an unseen kernel.

By construction, for any table: each row is given operators of its kind that it accepts, until the
calibration has as many of it as its features need. An image is many single operators side by side,
each with inputs and an output of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from engine.dispatch import KERNELS, first
from engine.graph import Graph, Op, Quant, Tensor
from engine.kernel_row import KernelRow
from engine.options import Mean
from engine.selection import Selection
from engine.shapes import output_shape
from nas.errors import NasError
from nas.microbench import MAX_TENSOR_BYTES, layer_images, plain_image
from nas.price_samples import small_samples

MORE_THAN_FEATURES = 3
"""Layers of a row beyond as many as it has features, so that none is fitted exactly."""
IMAGE_BYTES = 80_000
"""Of all tensors of an image, which the bench keeps a second time."""
MAX_LAYER_MACS = 60_000
QUANT = Quant(0.05, 3)
BY_ELEMENT = {
    **dict.fromkeys(("add", "sub", "mul"), ("a", "b")),
    **dict.fromkeys(("relu", "requantize", "logistic", "hard_swish", "mean"), ("in",)),
}
"""Kinds and the names of their inputs."""


@dataclass(frozen=True, eq=False)
class RowImage:
    """A network and the kernel of each of its operators."""

    graph: Graph
    selection: Selection


@dataclass(frozen=True, eq=False)
class _Sample:
    """One operator for one row, as a graph of its own."""

    row: KernelRow
    graph: Graph

    @property
    def byte_count(self) -> int:
        return sum(tensor.size for tensor in self.graph.tensors)


def row_images(
    seed: int, measured: Sequence[Graph] = (), rows: Sequence[KernelRow] = KERNELS
) -> list[RowImage]:
    """What `measured`, with their first kernels, lack of each row. NasError: a row takes nothing.

    rows: of the table; of another one in tests.
    """
    seen = Counter(id(row) for graph in measured for row in first(graph).rows)
    pool = [graph for graph in _pool(seed) if graph.macs <= MAX_LAYER_MACS]
    samples = [s for row in rows for s in _samples(row, pool, seen[id(row)])]
    return [_joined(f"rows{at}", batch) for at, batch in enumerate(_batches(samples))]


def _pool(seed: int) -> Iterator[Graph]:
    """Networks of one operator: those of small samples, and every one of the layer images."""
    yield from small_samples()
    yield from _reshapes()
    yield from _by_element()
    for graph in (plain_image(seed), *layer_images(seed)):
        for op in graph.ops:
            names = dict.fromkeys((*op.inputs, op.output))
            tensors = tuple(graph.tensor(name) for name in names)
            if max(tensor.size for tensor in tensors) <= MAX_TENSOR_BYTES:
                yield Graph(op.name, tensors, (op,), tuple(dict.fromkeys(op.inputs)), (op.output,))


def _reshapes() -> Iterator[Graph]:
    for size in (96, 320, 900, 2000, 4000):
        tensors = (Tensor("in", (1, size, 1), QUANT), Tensor("out", (1, 1, size), QUANT))
        op = Op("reshape", "reshape", ("in",), "out")
        yield Graph("reshape", tensors, (op,), ("in",), ("out",))


def _by_element() -> Iterator[Graph]:
    """Further sizes of what few networks have, and sums whose scales are far apart."""
    for kind, names in BY_ELEMENT.items():
        for shape in ((20, 20, 5), (4, 4, 40), (3, 3, 7)):
            for scale in (0.04, 1.0) if len(names) == 2 else (1 / 256,):
                quants = (Quant(0.45 * scale, 3), Quant(0.0625, 3))
                inputs = tuple(map(Tensor, names, (shape, shape), quants))
                options = Mean((0, 1)) if kind == "mean" else None
                op = Op(kind, kind, names, "out", options=options)
                zero = -128 if kind == "logistic" else 3
                output = Tensor("out", output_shape(op, list(inputs)), Quant(scale, zero))
                yield Graph(kind, (*inputs, output), (op,), names, ("out",))


def _samples(row: KernelRow, pool: Sequence[Graph], seen: int) -> Iterator[_Sample]:
    """As many as are missing, spread from the least work to the most, no two of equal features."""
    taken = [g for g in pool if g.ops[0].kind == row.kind and row.accepts(g, g.ops[0])]
    if not taken and not seen:
        raise NasError(f"no sample for the kernel {row.c_name} of {row.kind}: add one it accepts")
    distinct: dict[tuple[float, ...], Graph] = {}
    for graph in taken:
        distinct.setdefault(tuple(row.features(graph, graph.ops[0]).values()), graph)
    ordered = sorted(distinct, key=sum)
    wanted = max((len(each) for each in ordered), default=0) + MORE_THAN_FEATURES - seen
    count = max(0, min(wanted, len(ordered)))
    for at in np.linspace(0, len(ordered) - 1, count).round().astype(int):
        yield _Sample(row, distinct[ordered[at]])


def _batches(samples: Sequence[_Sample]) -> Iterator[list[_Sample]]:
    batch: list[_Sample] = []
    for sample in samples:
        if sum(each.byte_count for each in batch) + sample.byte_count > IMAGE_BYTES:
            yield batch
            batch = []
        batch.append(sample)
    if batch:
        yield batch


def _joined(name: str, samples: Sequence[_Sample]) -> RowImage:
    parts = [_renamed(sample.graph, f"s{at}_") for at, sample in enumerate(samples)]
    graph = Graph(
        name,
        tuple(tensor for part in parts for tensor in part.tensors),
        tuple(op for part in parts for op in part.ops),
        tuple(name for part in parts for name in part.inputs),
        tuple(name for part in parts for name in part.outputs),
    )
    return RowImage(graph, Selection(tuple(sample.row for sample in samples)))


def _renamed(graph: Graph, prefix: str) -> Graph:
    def tensor(old: Tensor) -> Tensor:
        return replace(old, name=prefix + old.name)

    def op(old: Op) -> Op:
        inputs = tuple(prefix + name for name in old.inputs)
        return replace(old, name=prefix + old.name, inputs=inputs, output=prefix + old.output)

    return Graph(
        prefix + graph.name,
        tuple(map(tensor, graph.tensors)),
        tuple(map(op, graph.ops)),
        tuple(prefix + name for name in graph.inputs),
        tuple(prefix + name for name in graph.outputs),
    )
