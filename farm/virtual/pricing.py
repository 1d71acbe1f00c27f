"""Cycles of executed code, from the versioned tables in timing/."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from farm.shipped_tables import load_table
from farm.virtual.decode import Block, decode_block
from farm.virtual.m4 import CortexM4
from farm.virtual.m7 import CortexM7

_ADDRESS = 0xFFFFFFFF


class Model(Protocol):
    """A core's cycle model."""

    table: Mapping[str, Any]

    def cost(self, prev: Block | None, cur: Block, count: int | None = None) -> int:
        """Cycles that `cur` (its first `count` instructions) adds behind `prev`."""


@lru_cache
def load_model(version: str) -> Model:
    """The cycle model with the table timing/<version>.yaml."""
    table = load_table(Path(__file__).parent / "timing" / f"{version}.yaml")
    return CortexM4(table) if table["core"] == "cortex-m4" else CortexM7(table)


class Pricer:
    """What each edge between two blocks costs; a block is named by address | size << 32.

    The cost of an edge holds the current block's own cycles and what its predecessor does to
    them: outcome of the branch, load-use distance, pairing.
    """

    def __init__(self, model: Model, fetch: Callable[[int, int], bytes]) -> None:
        self._model = model
        self._fetch = fetch
        self._blocks: dict[int, Block] = {}
        self._prices: dict[tuple[int, int], int] = {}
        self._partial: dict[tuple[int, int, int], int] = {}
        self._pages: set[int] = set()

    def block(self, key: int, it_state: int = 0) -> Block:
        """The decoded block of a key; `it_state` when it begins inside an IT block."""
        found = self._blocks.get(key)
        if found is None:
            address, size = key & _ADDRESS, key >> 32
            found = self._blocks[key] = decode_block(address, size, self._fetch, it_state)
            self._pages.update(range(address >> 10, (address + size - 1 >> 10) + 1))
        return found

    def price(self, prev: int, cur: int) -> int:
        """Cycles of the edge; prev 0: the pipeline was empty."""
        cost = self._prices.get((prev, cur))
        if cost is None:
            before = self.block(prev) if prev else None
            cost = self._prices[prev, cur] = self._model.cost(before, self.block(cur))
        return cost

    def partial(self, prev: int, cur: int, count: int) -> int:
        """Cycles of the edge up to the instruction with index `count`."""
        key = (prev, cur, count)
        cost = self._partial.get(key)
        if cost is None:
            before = self.block(prev) if prev else None
            cost = self._partial[key] = self._model.cost(before, self.block(cur), count)
        return cost

    def holds(self, address: int, size: int) -> bool:
        """Whether code priced so far may lie in these bytes."""
        return any(p in self._pages for p in range(address >> 10, (address + size - 1 >> 10) + 1))

    def forget(self) -> None:
        """Drop everything known: the code has changed."""
        for known in (self._blocks, self._prices, self._partial, self._pages):
            known.clear()
