"""Plan: where each tensor and each kernel's scratch lies in the arena.

The arena holds every tensor but the network's input and output, which are the caller's. An add
may write over an input that dies there.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from engine.dispatch import choose
from engine.graph import Graph, Op
from engine.packing import Block, lower_bound, pack, peak

SCRATCH = "scratch of "


@dataclass(frozen=True)
class Plan:
    """Offsets are bytes from the arena's start, multiples of four.

    order: operators by index, in execution order; offsets: tensor name -> offset;
    scratch_offsets, scratch_sizes: operator name -> bytes, for operators that need any;
    peak_bytes: the arena, exactly; lower_bound_bytes: what no packing could go under;
    in_place: names of the adds whose output lies over an input.
    """

    order: tuple[int, ...]
    offsets: Mapping[str, int]
    scratch_offsets: Mapping[str, int]
    scratch_sizes: Mapping[str, int]
    peak_bytes: int
    lower_bound_bytes: int
    in_place: frozenset[str]

    @property
    def scratch_bytes(self) -> int:
        """The largest scratch of any operator."""
        return max(self.scratch_sizes.values(), default=0)


def plan(graph: Graph, *, plain: bool = False) -> Plan:
    """The best arena found for ``graph`` in its own order; with ``plain``, for plain kernels."""
    sizes = {op.name: choose(graph, op, plain=plain).scratch_bytes(graph, op) for op in graph.ops}
    scratch = {name: size for name, size in sizes.items() if size > 0}
    plans = [_plan(graph, scratch, reuse_oldest) for reuse_oldest in (False, True)]
    return min(plans, key=lambda found: found.peak_bytes)


def lifetimes(graph: Graph) -> dict[str, tuple[int, int]]:
    """First and last operator index, both included, at which each tensor of the arena lives."""
    lives: dict[str, tuple[int, int]] = {}
    for index, op in enumerate(graph.ops):
        for name in (*op.inputs, op.output):
            lives[name] = (lives.get(name, (index, index))[0], index)
    return {name: life for name, life in lives.items() if name not in (graph.input, graph.output)}


def _plan(graph: Graph, scratch: Mapping[str, int], reuse_oldest: bool) -> Plan:
    lives = lifetimes(graph)
    hosts = _reused(graph, lives, reuse_oldest)
    blocks = _tensor_blocks(graph, lives, hosts) + _scratch_blocks(graph, scratch)
    placed = pack(blocks)
    return Plan(
        order=tuple(range(len(graph.ops))),
        offsets={name: placed[hosts.get(name, name)] for name in lives},
        scratch_offsets={name: placed[SCRATCH + name] for name in scratch},
        scratch_sizes=scratch,
        peak_bytes=peak(blocks, placed),
        lower_bound_bytes=lower_bound(blocks),
        in_place=frozenset(op.name for op in graph.ops if op.output in hosts),
    )


def _reused(
    graph: Graph, lives: Mapping[str, tuple[int, int]], reuse_oldest: bool
) -> dict[str, str]:
    """Output tensor -> the tensor whose memory it takes over, for adds over a dying input."""
    hosts: dict[str, str] = {}
    for index, op in enumerate(graph.ops):
        dying = _dying_inputs(op, index, lives)
        if op.output in lives and dying:
            pick = min if reuse_oldest else max
            chosen = pick(dying, key=lambda name: lives[name][0])
            hosts[op.output] = hosts.get(chosen, chosen)
    return hosts


def _dying_inputs(op: Op, index: int, lives: Mapping[str, tuple[int, int]]) -> list[str]:
    if op.kind != "add":
        return []
    return [name for name in op.inputs if name in lives and lives[name][1] == index]


def _tensor_blocks(
    graph: Graph, lives: Mapping[str, tuple[int, int]], hosts: Mapping[str, str]
) -> list[Block]:
    """One block a tensor, or a chain of tensors that take over one place."""
    spans: dict[str, tuple[int, int]] = {}
    for name, (first, last) in lives.items():
        host = hosts.get(name, name)
        start, end = spans.get(host, (first, last))
        spans[host] = (min(start, first), max(end, last))
    return [Block(name, graph.tensor(name).size, *span) for name, span in spans.items()]


def _scratch_blocks(graph: Graph, scratch: Mapping[str, int]) -> list[Block]:
    steps = {op.name: index for index, op in enumerate(graph.ops)}
    return [Block(SCRATCH + name, size, steps[name], steps[name]) for name, size in scratch.items()]
