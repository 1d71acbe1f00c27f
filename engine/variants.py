"""Variants: the kernels that compute each operator of a network exactly, with what each costs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from engine.dispatch import candidates
from engine.graph import Graph, Op
from engine.kernel_row import KernelRow
from engine.needs import need
from engine.prices import CORES, FAST, LEVELS, SMALL, Prices, prices, roots


@dataclass(frozen=True, eq=False)
class Variant:
    """One kernel for one operator. roots: C functions that it names; cycles: by core and level."""

    row: KernelRow
    roots: tuple[str, ...]
    const_bytes: int
    cycles: Mapping[tuple[str, str], float]

    @property
    def key(self) -> str:
        """Of equal keys is equal code."""
        return " ".join(self.roots)

    def cycles_of(self, core: str, small: frozenset[str]) -> float:
        """With the files of ``small`` compiled for size."""
        return self.cycles[core, SMALL if self.row.source in small else FAST]


@dataclass(frozen=True, eq=False)
class Menu:
    """variants: of each operator, the fastest first, at least one."""

    variants: tuple[tuple[Variant, ...], ...]
    prices: Prices

    @property
    def keys(self) -> tuple[str, ...]:
        """Those of all variants that have another beside them."""
        several = (v.key for some in self.variants if len(some) > 1 for v in some)
        return tuple(sorted(set(several)))

    @property
    def files(self) -> tuple[str, ...]:
        """C files whose cycles are known when they are compiled for size."""
        every = [variant for some in self.variants for variant in some]
        unknown = {v.row.source for v in every if math.inf in v.cycles.values()}
        return tuple(sorted({v.row.source for v in every} - unknown))

    def fastest_cycles(self, core: str) -> float:
        """Of the first variants."""
        return sum(some[0].cycles[core, FAST] for some in self.variants) or 1.0

    def code_bytes(self, core: str, chosen: Iterable[Variant], small: frozenset[str]) -> int:
        """Of all functions that the variants reach, each once.

        A file that several kernels include is compiled for size where all of them are.
        """
        seen: set[str] = set()
        users = {(name, v.row.source) for v in chosen for name in v.row.files if name[-2:] == ".c"}
        fast = {name for name, source in users if source not in small}
        todo = [name for v in chosen for name in v.roots]
        total = 0
        while todo:
            name = todo.pop()
            piece = self.prices.pieces.get((core, FAST, name))
            if name in seen or piece is None:
                continue
            seen.add(name)
            if piece.source not in fast:
                piece = self.prices.pieces.get((core, SMALL, name), piece)
            total += piece.byte_count
            todo += piece.calls
        return total


def menu(graph: Graph) -> Menu:
    """Every choice that there is for a network, each with its price."""
    return Menu(tuple(_variants(graph, op) for op in graph.ops), prices())


def _variants(graph: Graph, op: Op) -> tuple[Variant, ...]:
    """The fastest, then others that are priced and take no more of the arena."""
    rows = candidates(graph, op)
    first, *others = (_variant(graph, op, row) for row in rows)
    if not _is_priced(first):
        return (_free(first),)
    kept = [v for v in others if _is_priced(v) and _is_as_lean(graph, op, v.row, rows[0])]
    return (first, *kept)


def _variant(graph: Graph, op: Op, row: KernelRow) -> Variant:
    about, counts = row.describe(graph, op), row.features(graph, op)
    cycles = {
        (core, level): prices().kernel_cycles(core, level, row.c_name, counts)
        for core in CORES
        for level in LEVELS
    }
    known = {place: math.inf if value is None else value for place, value in cycles.items()}
    return Variant(row, roots(row, about), about.const_bytes, known)


def _is_priced(variant: Variant) -> bool:
    return all(variant.cycles[core, FAST] < math.inf for core in CORES)


def _free(variant: Variant) -> Variant:
    """One that stays whatever it costs, since nobody knows."""
    places: Sequence[tuple[str, str]] = list(variant.cycles)
    cycles = {place: 0.0 if place[1] == FAST else math.inf for place in places}
    return Variant(variant.row, variant.roots, variant.const_bytes, cycles)


def _is_as_lean(graph: Graph, op: Op, row: KernelRow, first: KernelRow) -> bool:
    """Whether it takes no more scratch, and lets its output lie where the first one's may."""
    mine, theirs = need(graph, op, row), need(graph, op, first)
    if mine.scratch_bytes > theirs.scratch_bytes or theirs.share is None:
        return mine.scratch_bytes <= theirs.scratch_bytes
    return mine.share is not None and mine.share.lead <= theirs.share.lead
