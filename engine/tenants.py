"""Who lives in the arena, and when: the blocks of tensors and scratch in an order of execution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.graph import Graph
from engine.needs import Need, readers
from engine.packing import Block, Share


@dataclass(frozen=True)
class Tenants:
    """Blocks by index: of each tensor by its name, of scratch by its operator's index.

    shares: (input, output) -> how they share, for each input that an output may lie over.
    """

    blocks: tuple[Block, ...]
    shares: Mapping[tuple[int, int], Share]
    tensors: Mapping[str, int]
    scratch: Mapping[int, int]


def tenants(graph: Graph, wanted: Sequence[Need], order: Sequence[int]) -> Tenants:
    """The blocks of ``graph`` run in ``order``."""
    lives = lifetimes(graph, order)
    tensors = {name: number for number, name in enumerate(lives)}
    blocks = [Block(graph.tensor(name).size, *life) for name, life in lives.items()]
    scratch: dict[int, int] = {}
    for step, index in enumerate(order):
        if wanted[index].scratch_bytes > 0:
            scratch[index] = len(blocks)
            blocks.append(Block(wanted[index].scratch_bytes, step, step))
    shares = {
        (tensors[name], tensors[op.output]): need.share
        for op, need in zip(graph.ops, wanted, strict=True)
        if need.share is not None
        for name in need.hosts
        if lives[name][1] == lives[op.output][0]
    }
    return Tenants(tuple(blocks), shares, tensors, scratch)


def lifetimes(graph: Graph, order: Sequence[int]) -> dict[str, tuple[int, int]]:
    """First and last step of ``order``, both included, at which each tensor of the arena lives."""
    step = {index: position for position, index in enumerate(order)}
    made = {op.output: step[index] for index, op in enumerate(graph.ops)}
    lives = {}
    for name, users in readers(graph).items():
        last = len(order) - 1 if name in graph.outputs else max(step[index] for index in users)
        lives[name] = (made.get(name, 0), last)
    return lives
