"""Graph rewrites: less work and less memory for the same output, to the bit.

Each row of `REWRITES` makes a new graph with the same inputs and outputs (names, shapes and
quantisation), or says that it has nothing to do. Zero points of inputs need no row: the emitter
adds their share to the biases of its tables (see engine/tables.py), which the graph's own biases
could not say at padded borders.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from engine.errors import GraphError
from engine.graph import Graph
from engine.rewrites.channels import drop_channels

MAX_ROUNDS = 16
"""Rounds over the whole table; what is left after that stays, and is exact as it is."""


@dataclass(frozen=True)
class Rewrite:
    """One exact change: `apply` makes the changed graph, or None; `why` says what it is for."""

    name: str
    apply: Callable[[Graph], Graph | None]
    why: str


@dataclass(frozen=True)
class Rewritten:
    """A rewritten graph, and how many passes of each row changed it."""

    graph: Graph
    applied: Mapping[str, int]


REWRITES: tuple[Rewrite, ...] = (
    Rewrite("drop_channels", drop_channels, "constant and unread channels need no work"),
)
"""The rows, in the order in which they are tried."""


def rewrite(graph: Graph, names: Collection[str] | None = None) -> Rewritten:
    """`graph` after the rows of `names` (all of them), until none changes it.

    Raises `GraphError` for a name that no row has.
    """
    rows = _rows(names)
    applied: Counter[str] = Counter()
    for _ in range(MAX_ROUNDS):
        before = graph
        for row in rows:
            changed = row.apply(graph)
            if changed is not None:
                graph = changed
                applied[row.name] += 1
        if graph is before:
            break
    return Rewritten(graph, dict(applied))


def _rows(names: Collection[str] | None) -> tuple[Rewrite, ...]:
    known = {row.name for row in REWRITES}
    unknown = sorted(set(names or ()) - known)
    if unknown:
        raise GraphError(f"no rewrite is called {unknown[0]!r}; there are {', '.join(known)}")
    return tuple(row for row in REWRITES if names is None or row.name in names)
