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
from engine.rewrites.constants import compute_once, fold_constants, shrink_constants
from engine.rewrites.functions import clamp_before, drop_numbers, join_functions
from engine.rewrites.kernels import conv_to_dense, crop_kernels, depthwise_to_conv
from engine.rewrites.means import mean_before_transpose
from engine.rewrites.moves import merge_transposes, sink_moves, skip_reshapes
from engine.rewrites.no_ops import remove_no_ops
from engine.rewrites.pads import merge_pads, pad_in_windows

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
    Rewrite("fold_constants", fold_constants, "what is always the same needs no operator"),
    Rewrite("shrink_constants", shrink_constants, "a repeated constant is stored once"),
    Rewrite("compute_once", compute_once, "equal operators on one tensor are one"),
    Rewrite("merge_transposes", merge_transposes, "a transpose takes over other moves"),
    Rewrite("skip_reshapes", skip_reshapes, "some readers see bytes, not shapes"),
    Rewrite("mean_before_transpose", mean_before_transpose, "a transpose moves what a mean leaves"),
    Rewrite("sink_moves", sink_moves, "functions run first, so that moves and windows meet"),
    Rewrite("remove_no_ops", remove_no_ops, "what changes nothing needs no operator"),
    Rewrite("clamp_before", clamp_before, "a ReLU is the clamp of the operator before it"),
    Rewrite("drop_numbers", drop_numbers, "a number added or multiplied is a function"),
    Rewrite("join_functions", join_functions, "two functions of a value that are one"),
    Rewrite("merge_pads", merge_pads, "two pads of one value are one"),
    Rewrite("pad_in_windows", pad_in_windows, "windows pad by themselves, without a copy"),
    Rewrite("drop_channels", drop_channels, "constant and unread channels need no work"),
    Rewrite("crop_kernels", crop_kernels, "weights that only meet padding or are zero"),
    Rewrite("depthwise_to_conv", depthwise_to_conv, "a row of products for one channel"),
    Rewrite("conv_to_dense", conv_to_dense, "a kernel as large as its image needs no windows"),
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
