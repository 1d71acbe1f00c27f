"""Plan: in what order operators run, and where tensors and scratch lie in the arena.

The arena holds every tensor but the constants, which are in flash. All inputs of the network live
from before the first operator until their last reader, its outputs until the end. An operator's
output may lie over an input that dies there, as far above it as its kernel says (`lead_bytes`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.graph import Graph
from engine.needs import Need, needs
from engine.order import Order, best_order
from engine.packing_search import pack
from engine.selection import Selection
from engine.tenants import tenants


@dataclass(frozen=True)
class Plan:
    """Offsets are bytes from the arena's start, multiples of four.

    order: operators by index, in execution order; offsets: tensor name -> offset, constants
    apart; scratch_offsets, scratch_sizes: operator name -> bytes, for operators that need any;
    peak_bytes: the arena, exactly; lower_bound_bytes: what no packing in this order could go
    under; bound_step: the step of the order (from 0) that needs those; in_place: names of
    operators whose output shares memory with an input; order_is_best: whether the fullest step of
    no other order is less full.
    """

    order: tuple[int, ...]
    offsets: Mapping[str, int]
    scratch_offsets: Mapping[str, int]
    scratch_sizes: Mapping[str, int]
    peak_bytes: int
    lower_bound_bytes: int
    in_place: frozenset[str]
    bound_step: int = 0
    order_is_best: bool = False

    @property
    def scratch_bytes(self) -> int:
        """The largest scratch of any operator."""
        return max(self.scratch_sizes.values(), default=0)

    @property
    def is_proven(self) -> bool:
        """Whether no packing in this order takes fewer bytes."""
        return self.peak_bytes == self.lower_bound_bytes


def plan(
    graph: Graph,
    *,
    plain: bool = False,
    selection: Selection | None = None,
    guard_bytes: int = 0,
    least: bool = True,
) -> Plan:
    """The least arena found for ``graph``; with ``plain``, for plain kernels.

    selection: of other kernels than the first ones.
    guard_bytes: unused bytes around everything that does not share memory, for tests of the C.
    least: without it, some arena in the graph's own order, found in milliseconds.
    """
    wanted = needs(graph, plain=plain, selection=selection)
    given = Order(tuple(range(len(graph.ops))), is_best=False)
    if not least:
        return _packed(graph, wanted, given, guard_bytes, least=False)
    order = best_order(graph, wanted)
    found = _packed(graph, wanted, order, guard_bytes)
    if found.is_proven or order.steps == given.steps:
        return found
    # A fuller fullest step may still leave room for a tighter packing.
    return min(found, _packed(graph, wanted, given, guard_bytes), key=lambda got: got.peak_bytes)


def _packed(
    graph: Graph, wanted: Sequence[Need], order: Order, guard_bytes: int, *, least: bool = True
) -> Plan:
    living = tenants(graph, wanted, order.steps)
    packed = pack(living.blocks, living.shares, guard_bytes, least=least)
    offsets = {name: packed.offsets[block] for name, block in living.tensors.items()}
    return Plan(
        order=order.steps,
        order_is_best=order.is_best,
        offsets=offsets,
        scratch_offsets={
            graph.ops[index].name: packed.offsets[block] for index, block in living.scratch.items()
        },
        scratch_sizes={
            graph.ops[index].name: wanted[index].scratch_bytes for index in living.scratch
        },
        peak_bytes=packed.peak_bytes,
        lower_bound_bytes=packed.lower_bound_bytes,
        bound_step=packed.bound_step,
        in_place=frozenset(
            op.name
            for op in graph.ops
            if any(overlap(graph, offsets, name, op.output) for name in op.inputs)
        ),
    )


def overlap(graph: Graph, offsets: Mapping[str, int], one: str, two: str) -> bool:
    """Whether two tensors share bytes of the arena; not if the first is a constant."""
    if one not in offsets:
        return False
    starts = offsets[one], offsets[two]
    ends = starts[0] + graph.tensor(one).size, starts[1] + graph.tensor(two).size
    return max(starts) < min(ends)
