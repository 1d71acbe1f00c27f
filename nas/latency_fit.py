"""Non-negative least squares in relative error, and what the errors of a fit are called."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nas.latency_rows import NetworkRow
from nas.least_squares import solve

NETWORK_CONSTANT = "network.constant"  # once an inference
NETWORK_LAYERS = "network.layers"  # what a layer costs in an untraced inference beyond its own time

# A whole network counts as much as this many layers: networks are what is predicted.
NETWORK_WEIGHT = 4.0
# Layers below this share of the median network are fitted in absolute error: nobody waits for them.
SMALL_LAYER_SHARE = 0.002
RIDGE = 1e-5  # a small one: it decides between columns that agree

Columns = Mapping[str, float]


@dataclass(frozen=True)
class Errors:
    """How far predictions are from measurements, over networks; percentages of the measurement."""

    networks: int
    median_error_percent: float
    mean_error_percent: float
    p95_error_percent: float
    max_error_percent: float
    within_5_percent: float
    within_10_percent: float
    kendall_tau: float

    def to_json(self) -> dict[str, float]:
        """Field names and values."""
        return dict(vars(self))


def network_columns(row: NetworkRow) -> dict[str, float]:
    """The features of a whole network: the sums over its layers, and its constants."""
    total = {NETWORK_CONSTANT: 1.0, NETWORK_LAYERS: float(len(row.layers))}
    for layer in row.layers:
        for name, value in layer.columns.items():
            total[name] = total.get(name, 0.0) + value
    return total


def fit(rows: Sequence[NetworkRow]) -> dict[str, float]:
    """Cycles of one unit of each column that any row exercises, all >= 0."""
    layers = [layer for row in rows for layer in row.layers if layer.cycles]
    floor = SMALL_LAYER_SHARE * float(np.median([row.cycles for row in rows]))
    samples: list[tuple[Columns, float, float]] = [
        (layer.columns, float(layer.cycles or 0), 1 / max(float(layer.cycles or 0), floor))
        for layer in layers
    ]
    samples += [(network_columns(r), float(r.cycles), NETWORK_WEIGHT / r.cycles) for r in rows]
    names = sorted({name for columns, _, _ in samples for name in columns if columns[name]})
    matrix = np.array([[columns.get(name, 0.0) for name in names] for columns, _, _ in samples])
    target = np.array([cycles for _, cycles, _ in samples])
    weights = np.array([weight for _, _, weight in samples])
    solution = solve(matrix * weights[:, np.newaxis], target * weights, RIDGE)
    return dict(zip(names, solution.tolist(), strict=True))


def predict_columns(coefficients: Mapping[str, float], columns: Columns) -> float:
    """The dot product over the columns that the model knows."""
    return sum(coefficients.get(name, 0.0) * value for name, value in columns.items())


def fit_macs(rows: Sequence[NetworkRow]) -> tuple[float, float]:
    """The baseline, (cycles a multiply-accumulate, constant), fitted on networks the same way."""
    networks = [row for row in rows if not row.chain] or list(rows)
    matrix = np.array([[row.macs / row.cycles, 1 / row.cycles] for row in networks])
    per_mac, constant = solve(matrix, np.ones(len(networks)), RIDGE).tolist()
    return per_mac, constant


def errors(predicted: Sequence[float], measured: Sequence[int]) -> Errors:
    """Summarise; both sequences hold cycles, a network each, at least one."""
    p, m = np.asarray(predicted, np.float64), np.asarray(measured, np.float64)
    percent = np.round(np.abs(p / m - 1) * 100, 9)
    values = {
        "median_error_percent": np.median(percent),
        "mean_error_percent": percent.mean(),
        "p95_error_percent": np.quantile(percent, 0.95, method="higher"),
        "max_error_percent": percent.max(),
        "within_5_percent": (percent <= 5).mean() * 100,
        "within_10_percent": (percent <= 10).mean() * 100,
        "kendall_tau": kendall_tau(p.tolist(), m.tolist()),
    }
    return Errors(len(m), **{name: round(float(value), 4) for name, value in values.items()})


def kendall_tau(first: Sequence[float], second: Sequence[float]) -> float:
    """Kendall's tau-b: 1 when both order all pairs alike, -1 when oppositely; 0 if all tie."""
    agree = first_ties = second_ties = 0
    pairs = list(itertools.combinations(zip(first, second, strict=True), 2))
    for (a, b), (c, d) in pairs:
        one, two = np.sign(a - c), np.sign(b - d)
        agree += int(one * two)
        first_ties += int(one == 0)
        second_ties += int(two == 0)
    scale = (len(pairs) - first_ties) * (len(pairs) - second_ties)
    return agree / scale**0.5 if scale else 0.0
