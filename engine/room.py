"""What an operator may take of the arena beside its tensors, without the arena growing for it."""

from __future__ import annotations

from functools import lru_cache

from engine import swept
from engine.graph import Graph, Op


@lru_cache(maxsize=512)  # asked for while a kernel is described, planned for, and counted
def spare_bytes(graph: Graph, op: Op, lead: int | None) -> int:
    """Bytes, 0 or more, by which tensors beside the fullest operator outweigh those beside `op`.

    As the operators stand in the file. lead: of the only input of `op` above its output, where
    that input dies; None: apart. Every other output counts as lying over its inputs, so that this
    is rather too little than too much.
    """
    own = next(at for at, each in enumerate(graph.ops) if each is op)
    return max(0, _fullest_bytes(graph) - _live_bytes(graph, own, lead))


@lru_cache(maxsize=16)
def _fullest_bytes(graph: Graph) -> int:
    """Of all tensors, and the scratch of a sweep, while the fullest operator runs."""
    return max(_live_bytes(graph, at, 0) + _sweep_bytes(graph, at) for at in range(len(graph.ops)))


def _live_bytes(graph: Graph, at: int, lead: int | None) -> int:
    """Of all tensors while the operator runs, dying inputs `lead` bytes above its output."""
    lives = {name: life for name, life in _lifetimes(graph).items() if life[0] <= at <= life[1]}
    sizes = {name: graph.tensor(name).size for name in lives}
    if lead is None:
        return sum(sizes.values())
    made = sizes[graph.ops[at].output]
    dying = sum(size for name, size in sizes.items() if lives[name][0] < lives[name][1] == at)
    return sum(sizes.values()) - made - dying + max(made, dying + lead if dying else 0)


def _sweep_bytes(graph: Graph, at: int) -> int:
    """Scratch of a depthwise layer, without which none is fast."""
    op = graph.ops[at]
    size = op.kernel[0]
    same = graph.tensor(op.inputs[0]).shape[2] == graph.tensor(op.output).shape[2]
    plain = op.kernel == (size, size) and op.dilation == (1, 1) and same
    if op.kind != "depthwise_conv2d" or size not in swept.BLOCKS or not plain:
        return 0
    if swept.sweeps(graph, op) is None:
        return 0
    return swept.columns(graph, op) * swept.column_bytes(swept.slots(graph, op))


@lru_cache(maxsize=16)
def _lifetimes(graph: Graph) -> dict[str, tuple[int, int]]:
    """First and last operator, by index, at which each tensor of the arena is there."""
    lives = dict.fromkeys(graph.inputs, (-1, -1))
    for at, op in enumerate(graph.ops):
        for name in op.inputs:
            if name in lives:
                lives[name] = (lives[name][0], at)
        lives[op.output] = (at, at)
    for name in graph.outputs:
        lives[name] = (lives[name][0], len(graph.ops))
    return lives
