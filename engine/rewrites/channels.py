"""Channels that nothing needs: constant ones, folded into what reads them, and unread ones.

A channel goes when every reader can do without it: because it is proven constant (see
engine/bounds.py) and the reader can add its share to a bias, or because only channels that go
themselves depend on it. Each reason only asks for other channels to go, so the largest set that
satisfies all of them is found by starting from every channel and taking back.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from engine.bounds import bounds
from engine.graph import Graph
from engine.rewrites.channel_rules import RULES, Channels

MAX_ROUNDS = 64
"""Ordinary networks take two or three."""


def drop_channels(graph: Graph) -> Graph | None:
    """`graph` without channels that its outputs do not need; None if it needs all."""
    channels = Channels(graph, bounds(graph), _candidates(graph))
    if not _settle(channels):
        return None
    while _revive(channels):
        if not _settle(channels):
            return None
    return _without(channels) if any(gone.any() for gone in channels.gone.values()) else None


def _candidates(graph: Graph) -> dict[str, np.ndarray]:
    outside = {*graph.inputs, *graph.outputs}
    return {
        tensor.name: np.full(tensor.shape[2], tensor.name not in outside)
        for tensor in graph.tensors
    }


def _settle(channels: Channels) -> bool:
    """Take back until every operator can do without what goes; False if that takes too long.

    Operators run in both directions by turns, since some ask their inputs and some their output.
    """
    before, ops = -1, channels.graph.ops
    for _ in range(MAX_ROUNDS):
        for op in (*reversed(ops), *ops):
            RULES[op.kind].take_back(op, channels)
        left = sum(int(gone.sum()) for gone in channels.gone.values())
        if left == before:
            return True
        before = left
    return False


def _revive(channels: Channels) -> bool:
    """Keep a channel of each tensor that would have none; False if each has one."""
    empty = [gone for gone in channels.gone.values() if gone.all()]
    for gone in empty:
        gone[0] = False
    return bool(empty)


def _without(channels: Channels) -> Graph:
    graph, gone = channels.graph, channels.gone
    tensors = tuple(
        replace(tensor, shape=(*tensor.shape[:2], int((~gone[tensor.name]).sum())))
        for tensor in graph.tensors
    )
    ops = tuple(RULES[op.kind].cut(op, channels) for op in graph.ops)
    constants = {name: values[..., ~gone[name]] for name, values in graph.constants.items()}
    return Graph(graph.name, tensors, ops, graph.inputs, graph.outputs, constants)
