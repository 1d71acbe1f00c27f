"""What a latency model is fitted on: networks with their cycles, layer by layer."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.cmodel import Layer
from farm.measure import Measurement
from nas.errors import NasError


class LatencyError(NasError):
    """A latency model does not fit the boards, or its file is damaged: calibrate anew."""


@dataclass(frozen=True)
class LayerRow:
    """One measured layer; `cycles` is None where only the whole network was timed."""

    kernel: str
    macs: int
    outputs: int
    features: Mapping[str, float]
    cycles: int | None

    @property
    def columns(self) -> dict[str, float]:
        """Its features under the names of the model's columns."""
        return {f"{self.kernel}.{name}": value for name, value in self.features.items()}


@dataclass(frozen=True)
class NetworkRow:
    """One measured network; `key` tells it from every other, `cycles` is the median of warm runs.

    A `chain` strings many layers together for their own sake; what a search proposes is not one.
    """

    key: str
    name: str
    cycles: int
    layers: tuple[LayerRow, ...]
    chain: bool = False

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference."""
        return sum(layer.macs for layer in self.layers)

    def to_json(self) -> dict[str, Any]:
        """A JSON object from which `row_from_json` makes an equal value."""
        layers = [
            [row.kernel, row.macs, row.outputs, row.cycles, dict(row.features)]
            for row in self.layers
        ]
        head = {"key": self.key, "name": self.name, "cycles": self.cycles, "chain": self.chain}
        return head | {"layers": layers}


def row_from_json(value: Any) -> NetworkRow:
    """Read what `NetworkRow.to_json` wrote; ValueError, KeyError or TypeError for anything else."""
    layers = tuple(
        LayerRow(
            str(kernel),
            int(_amount(macs)),
            int(_amount(outputs)),
            {str(name): _amount(count) for name, count in features.items()},
            None if cycles is None else int(_amount(cycles)),
        )
        for kernel, macs, outputs, cycles, features in value["layers"]
    )
    key, name, cycles = str(value["key"]), str(value["name"]), int(_amount(value["cycles"]))
    if not cycles or not layers or any(layer.macs + layer.outputs == 0 for layer in layers):
        raise ValueError(f"{name:.40} takes no time or does no work")
    return NetworkRow(key, name, cycles, layers, bool(value["chain"]))


def _amount(value: Any) -> float:
    if not isinstance(value, float | int) or not (math.isfinite(value) and value >= 0):
        raise ValueError(f"{value!r:.40} is not a finite number of at least 0")
    return float(value)


def row_from_measurement(
    layers: Sequence[Layer], measurement: Measurement, *, chain: bool = False
) -> NetworkRow:
    """The row of a network that was measured; `LatencyError` when it has no timing."""
    m = measurement
    if m.status != "ok" or m.cycles <= 0:
        raise LatencyError(f"{m.name} on {m.board or m.board_type} was not timed: {m.status}")
    cycles: Sequence[int | None] = m.layer_cycles or [None] * len(layers)
    if len(cycles) != len(layers):
        raise LatencyError(f"{m.name} has {len(layers)} layers but {len(cycles)} were timed")
    return NetworkRow(m.image_key or m.name, m.name, m.cycles, layer_rows(layers, cycles), chain)


def layer_rows(layers: Iterable[Layer], cycles: Iterable[int | None]) -> tuple[LayerRow, ...]:
    """Layers with what each of them took."""
    return tuple(
        LayerRow(
            layer.kernel,
            layer.macs,
            layer.output_shape[0] * layer.output_shape[1] * layer.output_shape[2],
            dict(sorted(layer.features.items())),
            count,
        )
        for layer, count in zip(layers, cycles, strict=True)
    )


def unique(rows: Iterable[NetworkRow]) -> tuple[NetworkRow, ...]:
    """Rows in the order of their keys; of several with one key, the fastest."""
    best: dict[str, NetworkRow] = {}
    for row in rows:
        if row.key not in best or _rank(row) < _rank(best[row.key]):
            best[row.key] = row
    return tuple(best[key] for key in sorted(best))


def _rank(row: NetworkRow) -> tuple[int, list[int], str]:
    return row.cycles, [layer.cycles or 0 for layer in row.layers], row.name
