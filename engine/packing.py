"""Blocks that live for a while, to be packed into one piece of memory; some may share it in part.

Two blocks that live at one step lie apart. The exception is a share: the block that dies at a
step (an operator's input) may lie over the one that is born there (its output), if it lies far
enough above it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.tables import padded


@dataclass(frozen=True)
class Block:
    """``size`` bytes needed from step ``first`` to step ``last``, both included."""

    size: int
    first: int
    last: int

    def meets(self, other: Block) -> bool:
        """Whether both are needed at some step."""
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True)
class Share:
    """How far above the block that is born the one that dies must lie, to lie over it.

    lead: bytes >= 0; at least so many, or exactly.
    """

    lead: int
    exact: bool = False


Shares = Mapping[tuple[int, int], Share]
"""(index of the dying block, index of the one born) -> share. At a step one block at most is born
that others may lie over; if several may, each has its size, so that no two of them can."""

Bar = tuple[int, int, int]
"""(other, low, high): a unit may not begin between low and high, neither included, counted from
the offset of the other unit; multiples of four."""

NOWHERE = -1
"""The offset of a unit that has none yet."""


@dataclass(frozen=True)
class Problem:
    """What is to be packed: units of one block, or of several at one offset that follow each other.

    units: of each block; rooms, firsts, lasts, bars: of each unit; rooms are bytes of the largest
    block with its guard, bars what the other units forbid; floor: the lowest offset.
    """

    units: tuple[int, ...]
    rooms: tuple[int, ...]
    firsts: tuple[int, ...]
    lasts: tuple[int, ...]
    bars: tuple[tuple[Bar, ...], ...]
    floor: int

    def peak(self, offsets: Sequence[int]) -> int:
        """Bytes from 0 to the end of the highest unit that has an offset, guard included."""
        ends = zip(offsets, self.rooms, strict=True)
        return max(at + room for at, room in ends if at != NOWHERE)


def problem(
    blocks: Sequence[Block], shares: Shares, guard_bytes: int = 0, *, glued: bool = False
) -> Problem:
    """What keeps ``blocks`` apart; one at least.

    guard_bytes: unused bytes below the first block, above every block, and between any two that
    do not share; glued: whether exact shares without a lead are taken, not left to choice.
    """
    units = _units(len(blocks), shares if glued else {})
    members: list[list[Block]] = [[] for _ in range(max(units) + 1)]
    for block, unit in zip(blocks, units, strict=True):
        members[unit].append(block)
    return Problem(
        units=units,
        rooms=tuple(max(block.size for block in unit) + guard_bytes for unit in members),
        firsts=tuple(min(block.first for block in unit) for unit in members),
        lasts=tuple(max(block.last for block in unit) for unit in members),
        bars=_bars(blocks, shares, guard_bytes, units),
        floor=padded(guard_bytes),
    )


def _units(count: int, shares: Shares) -> tuple[int, ...]:
    """The unit of each block: a block joins that of the first one whose place it takes over."""
    heirs: dict[int, int] = {}
    for (dying, born), share in shares.items():
        if share == Share(0, exact=True):
            heirs.setdefault(born, dying)
    numbers: dict[int, int] = {}
    units = []
    for block in range(count):
        root = block
        while root in heirs:
            root = heirs[root]
        units.append(numbers.setdefault(root, len(numbers)))
    return tuple(units)


def _bars(
    blocks: Sequence[Block], shares: Shares, guard: int, units: Sequence[int]
) -> tuple[tuple[Bar, ...], ...]:
    bars: list[list[Bar]] = [[] for _ in range(max(units) + 1)]
    for pair in _meetings(blocks):
        one, two = pair if pair in shares else pair[::-1]
        upper, lower = units[one], units[two]
        if upper == lower:
            continue
        for low, high in _apart(blocks[one].size, blocks[two].size, shares.get((one, two)), guard):
            bars[upper].append((lower, low, high))
            bars[lower].append((upper, -high, -low))
    return tuple(map(tuple, bars))


def _meetings(blocks: Sequence[Block]) -> list[tuple[int, int]]:
    """Every two blocks that live at one step."""
    found: list[tuple[int, int]] = []
    alive: list[int] = []
    for number in sorted(range(len(blocks)), key=lambda n: blocks[n].first):
        first = blocks[number].first
        alive = [other for other in alive if blocks[other].last >= first]
        found += [(number, other) for other in alive]
        alive.append(number)
    return found


def _apart(size: int, other: int, share: Share | None, guard: int) -> list[tuple[int, int]]:
    """Where a block may not begin, from the offset of another; bounds not included."""
    below, above = -padded(size + guard), padded(other + guard)
    lead = usable_lead(share, other)
    if share is None or lead is None:
        return [(below, above)]
    if share.exact:
        return [(below, lead), (lead, above)]
    return [(below, lead), (padded(other) - 4, above)] if guard else [(below, lead)]


def usable_lead(share: Share | None, size: int) -> int | None:
    """The lead in whole words, if with it anything of a block of ``size`` can be shared."""
    if share is None or padded(share.lead) >= size or (share.exact and share.lead % 4):
        return None
    return padded(share.lead)


def step_bounds(blocks: Sequence[Block], shares: Shares, guard_bytes: int = 0) -> list[int]:
    """Of each step, bytes that no packing at multiples of four can go under."""
    steps = 1 + max(block.last for block in blocks)
    change, slack = [0] * (steps + 1), [0] * steps
    for block in blocks:
        room = block.size + guard_bytes
        words = padded(room)
        change[block.first] += words
        change[block.last + 1] -= words
        if words > room:  # only the topmost block of a step may end within a word
            for step in range(block.first, block.last + 1):
                slack[step] = max(slack[step], words - room)
    bounds, live = [], padded(guard_bytes)
    savings = _savings(blocks, shares, guard_bytes)
    for step in range(steps):
        live += change[step]
        bounds.append(live - slack[step] - savings.get(step, 0))
    return bounds


def _savings(blocks: Sequence[Block], shares: Shares, guard_bytes: int) -> dict[int, int]:
    """Step -> the most that one share saves there."""
    savings: dict[int, int] = {}
    for (dying, born), share in shares.items():
        saved = saving(share, blocks[dying].size, blocks[born].size, guard_bytes)
        step = blocks[born].first
        savings[step] = max(savings.get(step, 0), saved)
    return savings


def saving(share: Share | None, dying: int, born: int, guard_bytes: int = 0) -> int:
    """Whole words that two blocks of ``dying`` and ``born`` bytes need less if they share."""
    lead = usable_lead(share, born)
    if lead is None:
        return 0
    upper, lower = padded(dying + guard_bytes), padded(born + guard_bytes)
    return upper + lower - max(lower, lead + upper)
