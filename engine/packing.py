"""Blocks that live for a while, packed into one piece of memory."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from engine.tables import padded

MAX_NODES = 4000
MAX_EXHAUSTIVE_BLOCKS = 14


@dataclass(frozen=True)
class Block:
    """``size`` bytes needed from step ``first`` to step ``last``, both included."""

    name: str
    size: int
    first: int
    last: int

    def meets(self, other: "Block") -> bool:
        """Whether both are needed at some step."""
        return self.first <= other.last and other.first <= self.last


def peak(blocks: Iterable[Block], offsets: dict[str, int]) -> int:
    """Bytes from 0 to the end of the highest block."""
    return max((offsets[block.name] + block.size for block in blocks), default=0)


def lower_bound(blocks: Sequence[Block]) -> int:
    """Bytes that no packing at multiples of four can go under: the most that lives at one step."""
    return max((_live_bytes(blocks, block.first) for block in blocks), default=0)


def pack(blocks: Sequence[Block]) -> dict[str, int]:
    """Offsets, multiples of four: the best of several orders, searched further where few blocks.

    Deterministic. Stops as soon as the lower bound is met.
    """
    target = lower_bound(blocks)
    best = min((_place(order) for order in _orders(blocks)), key=lambda got: peak(blocks, got))
    if peak(blocks, best) > target and len(blocks) <= MAX_EXHAUSTIVE_BLOCKS:
        return _Search(blocks, target, best).run()
    return best


def _live_bytes(blocks: Sequence[Block], step: int) -> int:
    """Live blocks, each filled up to whole words, but for the one on top."""
    sizes = [block.size for block in blocks if block.first <= step <= block.last]
    return sum(map(padded, sizes)) - max(padded(size) - size for size in sizes)


def _orders(blocks: Sequence[Block]) -> list[list[Block]]:
    """Orders of placement that are known to pack well; ties by name, so that runs agree."""
    by_size = sorted(blocks, key=lambda b: (-b.size, b.first, b.name))
    by_life = sorted(blocks, key=lambda b: (b.first - b.last, -b.size, b.name))
    by_area = sorted(blocks, key=lambda b: (-b.size * (b.last - b.first + 1), b.name))
    by_time = sorted(blocks, key=lambda b: (b.first, -b.size, b.name))
    pressure = {b.name: max(_live_bytes(blocks, t) for t in (b.first, b.last)) for b in blocks}
    by_pressure = sorted(blocks, key=lambda b: (-pressure[b.name], -b.size, b.name))
    return [by_size, by_life, by_area, by_pressure, by_time, by_time[::-1]]


def _place(order: Iterable[Block]) -> dict[str, int]:
    """Each block in turn at the lowest offset that is free while it lives."""
    offsets: dict[str, int] = {}
    placed: list[Block] = []
    for block in order:
        offsets[block.name] = _lowest(block, placed, offsets)
        placed.append(block)
    return offsets


def _lowest(block: Block, placed: Iterable[Block], offsets: dict[str, int]) -> int:
    busy = sorted((offsets[b.name], b.size) for b in placed if b.meets(block))
    at = 0
    for start, size in busy:
        if at + block.size <= start:
            break
        at = max(at, padded(start + size))
    return at


class _Search:
    """Branch and bound over the orders of placement: some order gives an optimal packing."""

    def __init__(self, blocks: Sequence[Block], target: int, best: dict[str, int]) -> None:
        self._blocks = sorted(blocks, key=lambda b: (-b.size, b.name))
        self._target = target
        self._best = best
        self._best_peak = peak(blocks, best)
        self._nodes = 0

    def run(self) -> dict[str, int]:
        """The best offsets found within MAX_NODES."""
        self._grow([], {})
        return self._best

    def _grow(self, placed: list[Block], offsets: dict[str, int]) -> None:
        if len(placed) == len(self._blocks):
            self._best, self._best_peak = dict(offsets), peak(placed, offsets)
            return
        for block in self._blocks:
            if self._nodes >= MAX_NODES or self._best_peak == self._target:
                return
            if block.name in offsets:
                continue
            self._nodes += 1
            at = _lowest(block, placed, offsets)
            if at + block.size < self._best_peak:
                self._grow([*placed, block], {**offsets, block.name: at})
