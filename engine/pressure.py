"""What must lie in memory at each step, whatever the packing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.packing import NOWHERE, Block, Shares, usable_lead
from engine.tables import padded

Overlap = tuple[int, int, int]
"""(upper, lower, lead), by unit: upper may lie over lower, lead bytes above it at least."""


@dataclass(frozen=True)
class Step:
    """What lives at one step.

    words: (unit, its bytes and guard in whole words); overlaps: of which one may be taken;
    slack: bytes that the topmost unit may end short of its words.
    """

    words: tuple[tuple[int, int], ...]
    overlaps: tuple[Overlap, ...]
    slack: int

    def of(self, units: frozenset[int]) -> Step:
        """What concerns some units."""
        return Step(
            tuple(pair for pair in self.words if pair[0] in units),
            tuple(pair for pair in self.overlaps if pair[0] in units and pair[1] in units),
            self.slack,
        )

    def least_end(self, offsets: Sequence[int], base: int) -> int:
        """Where all this ends at least, if units at NOWHERE come to lie at ``base`` or above.

        Those that have an offset have none above ``base``.
        """
        top, left = base, 0
        for unit, words in self.words:
            at = offsets[unit]
            if at == NOWHERE:
                left += words
            elif at + words > top:
                top = at + words
        saved = max((self._saved(pair, offsets, base, top) for pair in self.overlaps), default=0)
        return top + left - saved - self.slack

    def _saved(self, overlap: Overlap, offsets: Sequence[int], base: int, top: int) -> int:
        """Bytes that an overlap may save of those that ``least_end`` adds up."""
        upper, lower, lead = overlap
        words = dict(self.words)
        above, below = words[upper], words[lower]
        at_upper, at_lower = offsets[upper], offsets[lower]
        if at_upper == NOWHERE and at_lower == NOWHERE:
            return above + below - max(below, lead + above)
        if at_upper == NOWHERE and at_lower + below == top:
            return top + above - max(top, max(base, at_lower + lead) + above)
        if at_lower == NOWHERE and at_upper == base and lead == 0:
            return above + below - max(below, above)
        return 0


def steps_of(
    blocks: Sequence[Block], shares: Shares, units: Sequence[int], guard_bytes: int = 0
) -> list[Step]:
    """Every step, of blocks that are joined to ``units``."""
    count = 1 + max(block.last for block in blocks)
    words: list[dict[int, int]] = [{} for _ in range(count)]
    slack = [0] * count
    for block, unit in zip(blocks, units, strict=True):
        room = block.size + guard_bytes
        for step in range(block.first, block.last + 1):
            words[step][unit] = max(words[step].get(unit, 0), padded(room))
            slack[step] = max(slack[step], padded(room) - room)
    overlaps: list[list[Overlap]] = [[] for _ in range(count)]
    for (dying, born), share in shares.items():
        lead = usable_lead(share, blocks[born].size)
        if lead is not None and units[dying] != units[born]:
            overlaps[blocks[born].first].append((units[dying], units[born], lead))
    parts = zip(words, overlaps, slack, strict=True)
    return [Step(tuple(sizes.items()), tuple(pairs), short) for sizes, pairs, short in parts]
