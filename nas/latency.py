"""LatencyModel: cycles of a network before it is built, with an upper bound.

Per board type. The model is linear and non-negative in counts that mirror the loops of the
kernels (`engine.features`). The bound comes from held-out networks by split conformal prediction:
of n networks that were never fitted on, the largest ratio of measured to predicted cycles bounds
the next one with probability n / (n + 1), if it is drawn as they were.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.cmodel import Layer
from engine.whole_file import replace_file
from farm.measure import Measurement
from nas.latency_fit import (
    Errors,
    errors,
    fit,
    fit_macs,
    network_columns,
    predict_columns,
)
from nas.latency_rows import (
    LatencyError,
    NetworkRow,
    layer_rows,
    row_from_json,
    row_from_measurement,
    unique,
)

__all__ = ["LatencyError", "LatencyModel", "NetworkRow", "Prediction", "fit_model"]

FORMAT, VERSION = "tinyrack latency model", 1
DAMAGE = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)
CONFIDENCE = 0.95  # wanted of the bound; fewer than 19 held-out networks give less, and say so


@dataclass(frozen=True)
class Prediction:
    """Cycles of one inference. The bound holds with `confidence`.

    `unseen` names kernels, or counts of their loops, that no measurement exercised. Then `cycles`
    is a guess by the amount of work, and the bound is infinite: only a board can tell.
    """

    cycles: float
    upper_cycles: float
    confidence: float
    unseen: tuple[str, ...] = ()


@dataclass(frozen=True)
class LatencyModel:
    """What a type of board needs for each unit of work, and the data that say so.

    coefficients: cycles by column. margin: the bound is predicted * (1 + margin). firmware: a hash
    of everything that is built into an image but the network. timing_model: the cycle table of
    virtual boards, None for silicon. macs_only: the baseline's cycles a multiply-accumulate and an
    inference. rows were fitted on, heldout_rows never are.
    """

    board_type: str
    firmware: str
    timing_model: str | None
    coefficients: Mapping[str, float]
    margin: float
    confidence: float
    heldout: Errors
    macs_only: tuple[float, float]
    baseline: Errors
    residual_percent: Mapping[str, float]
    rows: tuple[NetworkRow, ...] = field(repr=False)
    heldout_rows: tuple[NetworkRow, ...] = field(repr=False)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the features, sorted."""
        return tuple(sorted(self.coefficients))

    @property
    def fitted_on(self) -> tuple[str, ...]:
        """Names of the networks that were fitted on."""
        return tuple(row.name for row in self.rows)

    def predict(self, layers: Sequence[Layer]) -> Prediction:
        """Cycles of one inference of a network with these layers."""
        return self.predict_row(NetworkRow("", "", 0, layer_rows(layers, [None] * len(layers))))

    def predict_row(self, row: NetworkRow) -> Prediction:
        """The same for a network as a row of data; its own cycles are not looked at."""
        columns = network_columns(row)
        cycles = predict_columns(self.coefficients, columns)
        unseen = tuple(
            sorted(name for name, value in columns.items() if value and not self._knows(name))
        )
        if unseen:
            return Prediction(self._guess(row), math.inf, 1.0, unseen)
        return Prediction(cycles, cycles * (1 + self.margin), self.confidence)

    def predict_by_macs(self, macs: int) -> float:
        """The baseline, for comparison: cycles by multiply-accumulates alone."""
        return self.macs_only[0] * macs + self.macs_only[1]

    def layer_cycles(self, layers: Sequence[Layer]) -> tuple[float, ...]:
        """What each layer takes, by itself."""
        rows = layer_rows(layers, [None] * len(layers))
        return tuple(predict_columns(self.coefficients, row.columns) for row in rows)

    def observe(self, measurements: Sequence[tuple[Sequence[Layer], Measurement]]) -> LatencyModel:
        """Refit with what boards said since; the order and repetitions do not matter.

        Held-out networks stay held out, and a network measured twice counts once. Raises
        `LatencyError` for a measurement of another board type or timing model.
        """
        rows = [row_from_measurement(layers, self._checked(m)) for layers, m in measurements]
        kept = {row.key for row in self.heldout_rows}
        merged = unique([*self.rows, *(row for row in rows if row.key not in kept)])
        if merged == self.rows:
            return self
        return fit_model(
            self.board_type, self.firmware, self.timing_model, merged, self.heldout_rows
        )

    def save(self, path: Path) -> None:
        """Write JSON to `path`, whole or not at all."""
        text = json.dumps(self.to_json(), separators=(",", ":"), sort_keys=True)
        replace_file(path, f"{text}\n".encode())

    def to_json(self) -> dict[str, Any]:
        """Everything, the fitted data included, so that a refit needs nothing else."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "board_type": self.board_type,
            "firmware": self.firmware,
            "timing_model": self.timing_model,
            "coefficients": dict(self.coefficients),
            "margin": self.margin,
            "confidence": self.confidence,
            "heldout": self.heldout.to_json(),
            "macs_only": list(self.macs_only),
            "baseline": self.baseline.to_json(),
            "residual_percent": dict(self.residual_percent),
            "rows": [row.to_json() for row in self.rows],
            "heldout_rows": [row.to_json() for row in self.heldout_rows],
        }

    @classmethod
    def load(cls, path: Path) -> LatencyModel:
        """Read what `save` wrote; `LatencyError` for anything else."""
        try:
            return _from_json(json.loads(path.read_text(encoding="utf-8")))
        except OSError as error:
            raise LatencyError(f"{path} cannot be read: {error}") from error
        except DAMAGE as error:
            raise LatencyError(f"{path} is not a latency model, calibrate anew: {error}") from error

    def _knows(self, column: str) -> bool:
        return column in self.coefficients

    def _guess(self, row: NetworkRow) -> float:
        """Cycles by the amount of work alone, at the rate of the slowest fitted layer."""
        rate = max(
            (layer.cycles or 0) / (layer.macs + layer.outputs)
            for fitted in self.rows
            for layer in fitted.layers
        )
        return rate * sum(layer.macs + layer.outputs for layer in row.layers)

    def _checked(self, m: Measurement) -> Measurement:
        if (m.board_type, m.timing_model) != (self.board_type, self.timing_model):
            raise LatencyError(
                f"{m.name} was measured on {m.board_type} ({m.timing_model or 'silicon'}), but the "
                f"model is of {self.board_type} ({self.timing_model or 'silicon'}); calibrate anew"
            )
        return m


def fit_model(
    board_type: str,
    firmware: str,
    timing_model: str | None,
    rows: Sequence[NetworkRow],
    heldout_rows: Sequence[NetworkRow],
) -> LatencyModel:
    """Fit on `rows`, judge and bound on `heldout_rows`; the order of neither matters.

    Raises `LatencyError` when there is nothing to fit, or nothing to judge by.
    """
    rows, heldout_rows = unique(rows), unique(heldout_rows)
    if not any(layer.cycles for row in rows for layer in row.layers) or not heldout_rows:
        raise LatencyError(f"{board_type} has no timed layers to fit, or no network to judge by")
    coefficients = fit(rows)
    predicted = [predict_columns(coefficients, network_columns(row)) for row in heldout_rows]
    margin, confidence = _margin(predicted, heldout_rows)
    measured = [row.cycles for row in heldout_rows]
    per_mac, constant = fit_macs(rows)
    return LatencyModel(
        board_type=board_type,
        firmware=firmware,
        timing_model=timing_model,
        coefficients=coefficients,
        margin=margin,
        confidence=confidence,
        heldout=errors(predicted, measured),
        macs_only=(per_mac, constant),
        baseline=errors([per_mac * row.macs + constant for row in heldout_rows], measured),
        residual_percent=_residuals(coefficients, rows),
        rows=rows,
        heldout_rows=heldout_rows,
    )


def _margin(predicted: Sequence[float], heldout: Sequence[NetworkRow]) -> tuple[float, float]:
    """Split conformal: the order statistic of measured / predicted - 1, and its confidence."""
    excess = sorted(
        row.cycles / max(cycles, 1.0) - 1 for row, cycles in zip(heldout, predicted, strict=True)
    )
    rank = min(math.ceil((len(excess) + 1) * CONFIDENCE), len(excess))
    return max(excess[rank - 1], 0.0), rank / (len(excess) + 1)


def _residuals(coefficients: Mapping[str, float], rows: Sequence[NetworkRow]) -> dict[str, float]:
    """By kernel, the error that 95 % of its fitted layers keep within, in percent."""
    by_kernel: dict[str, list[float]] = {}
    for layer in (layer for row in rows for layer in row.layers if layer.cycles):
        off = predict_columns(coefficients, layer.columns) / (layer.cycles or 1) - 1
        by_kernel.setdefault(layer.kernel, []).append(abs(off) * 100)
    return {
        kernel: round(sorted(values)[math.ceil(len(values) * 0.95) - 1], 4)
        for kernel, values in sorted(by_kernel.items())
    }


def _from_json(value: Any) -> LatencyModel:
    if (value["format"], value["version"]) != (FORMAT, VERSION):
        raise ValueError(f"it is not version {VERSION} of this format")
    if not (value["rows"] and value["heldout_rows"]):
        raise ValueError("it holds no measurements")
    coefficients = {str(k): _number(v) for k, v in value["coefficients"].items()}
    timing_model = value["timing_model"]
    return LatencyModel(
        board_type=str(value["board_type"]),
        firmware=str(value["firmware"]),
        timing_model=None if timing_model is None else str(timing_model),
        coefficients=coefficients,
        margin=_number(value["margin"]),
        confidence=_number(value["confidence"]),
        heldout=_errors(value["heldout"]),
        macs_only=(_number(value["macs_only"][0]), _number(value["macs_only"][1])),
        baseline=_errors(value["baseline"]),
        residual_percent={str(k): _number(v) for k, v in value["residual_percent"].items()},
        rows=tuple(row_from_json(row) for row in value["rows"]),
        heldout_rows=tuple(row_from_json(row) for row in value["heldout_rows"]),
    )


def _errors(value: Mapping[str, Any]) -> Errors:
    if not all(isinstance(v, float | int) and math.isfinite(v) for v in value.values()):
        raise ValueError("its errors are not finite numbers")
    return Errors(**value)


def _number(value: object) -> float:
    if not isinstance(value, float | int) or not (math.isfinite(value) and value >= 0):
        raise ValueError(f"{value!r:.40} is not a finite number of at least 0")
    return float(value)
