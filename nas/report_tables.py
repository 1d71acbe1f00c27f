"""The tables of a report as rows of text, ready for the template."""

from __future__ import annotations

import json
from dataclasses import dataclass

from farm.measure import Measurement
from nas.report_data import Candidate, Run
from nas.report_style import bytes_text, percent_text

NONE = "-"
# Quantity, its key in a Measurement and in `promised`, and its key in `limits`.
QUANTITIES = (
    ("SRAM", "peak_sram_bytes", "sram_bytes"),
    ("Flash", "flash_bytes", "flash_bytes"),
    ("Latency", "latency_ms", "latency_ms"),
)


@dataclass(frozen=True)
class Gauge:
    """One measured quantity beside its limit and what was promised."""

    name: str
    measured: str
    promised: str
    limit: str
    fill_percent: float  # of the limit, 0 to 100, for the bar
    within: bool


@dataclass(frozen=True)
class Card:
    """The winner on one board."""

    board: str
    board_type: str
    virtual: bool
    timing_model: str
    right: bool
    message: str
    gauges: tuple[Gauge, ...]

    @property
    def within(self) -> bool:
        """Right output and inside every limit, as measured."""
        return self.right and all(gauge.within for gauge in self.gauges)


def cards(run: Run) -> list[Card]:
    """The winner on each board that measured it."""
    return [
        Card(
            row.board,
            row.board_type,
            row.virtual,
            row.timing_model or "",
            row.status == "ok",
            row.message or f"status: {row.status}",
            _gauges(run, row) if row.status == "ok" else (),
        )
        for row in run.winner.results
    ]


def verdict(run: Run) -> tuple[bool, str]:
    """Whether the winner is what was asked for, and the sentence that says so."""
    failing = [card for card in cards(run) if not card.within]
    if not failing:
        types = sorted({row.board_type for row in run.winner.results})
        return True, f"Within every limit, as measured on {' and '.join(types)}."
    wrong = [card.board for card in failing if not card.right]
    if wrong:
        return False, f"No valid measurement on {', '.join(wrong)}; see the reason below."
    return False, f"Over a limit, as measured on {', '.join(card.board for card in failing)}."


def accuracy_rows(run: Run) -> list[tuple[str, str]]:
    """The winner's accuracy before and after quantisation."""
    floating, quantised = run.winner.float_accuracy, run.winner.int8_accuracy
    change = 100 * (quantised - floating)
    return [
        ("float", percent_text(floating)),
        ("int8, as on the board", percent_text(quantised)),
        ("change", f"{change:+.2f} points"),
    ]


def prediction_rows(run: Run) -> list[tuple[str, ...]]:
    """How well cycles were foreseen, by board type, over the candidates measured."""
    rows = []
    for name in run.board_types:
        measured = [r for r in run.candidates if r.measured and r.board_type == name]
        if measured:
            rows.append((name, *_prediction_row(measured)))
    return rows


def _prediction_row(measured: list[Candidate]) -> tuple[str, ...]:
    errors = sorted(abs(row.error_percent or 0.0) for row in measured)
    bounds = [row.upper_error_percent for row in measured if row.upper_error_percent is not None]
    held = sum(bound >= 0 for bound in bounds)
    shares = [sum(error <= band for error in errors) / len(errors) for band in (5.0, 10.0)]
    return (
        str(len(errors)),
        f"{errors[len(errors) // 2]:.2f} %",
        f"{errors[-1]:.2f} %",
        *(f"{100 * share:.0f} %" for share in shares),
        f"{held} of {len(bounds)}",
    )


def result_rows(run: Run) -> list[tuple[str, ...]]:
    """The winner's timing on each board."""
    return [
        (
            row.board,
            row.board_type,
            row.status,
            f"{row.cycles:,}",
            f"{row.cold_cycles:,}",
            f"{row.spread_percent:.3f} %",
            f"{row.latency_ms:.3f}",
            f"{row.cycles_per_mac:.2f}",
            bytes_text(row.static_ram_bytes),
            bytes_text(row.arena_bytes),
            bytes_text(row.stack_bytes),
            bytes_text(row.peak_sram_bytes),
            bytes_text(row.flash_bytes),
        )
        for row in run.winner.results
        if row.status == "ok"
    ]


def candidate_rows(run: Run) -> list[tuple[str, ...]]:
    """Every measured candidate, in the order of the search."""
    return [_candidate_row(row) for row in run.candidates if row.measured]


def _candidate_row(row: Candidate) -> tuple[str, ...]:
    error = NONE if row.error_percent is None else f"{row.error_percent:+.2f} %"
    return (
        row.id,
        row.stage,
        row.board_type,
        NONE if row.accuracy is None else percent_text(row.accuracy),
        f"{row.predicted_cycles:,.0f}",
        NONE if row.upper_cycles is None else f"{row.upper_cycles:,.0f}",
        f"{row.measured_cycles:,.0f}",
        error,
        NONE if row.latency_ms is None else f"{row.latency_ms:.3f}",
        NONE if row.peak_sram_bytes is None else bytes_text(row.peak_sram_bytes),
        NONE if row.flash_bytes is None else bytes_text(row.flash_bytes),
        "yes" if row.feasible else "no",
        row.source,
    )


def layer_rows(run: Run) -> list[tuple[str, ...]]:
    """The winner's layers: what they are, what was foreseen, what was measured, their share."""
    totals: dict[str, float] = {}
    for row in run.winner.layers:
        totals[row.board_type] = totals.get(row.board_type, 0.0) + row.measured_cycles
    return [
        (
            row.name,
            row.kind,
            row.kernel,
            row.board_type,
            f"{row.macs:,.0f}",
            f"{row.predicted_cycles:,.0f}",
            f"{row.measured_cycles:,.0f}",
            f"{100 * (row.predicted_cycles / max(row.measured_cycles, 1.0) - 1):+.1f} %",
            f"{row.measured_cycles / row.macs:.2f}" if row.macs else NONE,
            f"{100 * row.measured_cycles / max(totals[row.board_type], 1.0):.1f} %",
        )
        for row in run.winner.layers
    ]


def config_rows(run: Run) -> list[tuple[str, str]]:
    """What was asked, as the run keeps it."""
    return [(key, _text(value)) for key, value in sorted(run.config.items())]


def provenance_rows(row: Measurement) -> list[tuple[str, str]]:
    """Where one measurement comes from: image, compiler, flags, cycle model, versions."""
    model = f"{row.timing_model} (virtual board, not silicon)" if row.virtual else NONE
    clock = NONE if row.clock_measured_hz is None else f"{row.clock_measured_hz / 1e6:.3f} MHz"
    return [
        ("image SHA-256", row.image_sha256),
        ("input SHA-256", row.input_sha256),
        ("output SHA-256", row.output_sha256),
        ("timing model", model),
        ("clock", f"{row.clock_hz / 1e6:g} MHz nominal, {clock} measured"),
        ("warm samples", str(len(row.samples))),
        ("measured at (UTC)", row.utc),
        *((key, _text(value)) for key, value in sorted(row.provenance.items())),
    ]


def _gauges(run: Run, row: Measurement) -> tuple[Gauge, ...]:
    promised = run.winner.promised.get(row.board_type, {})
    return tuple(
        _gauge(name, getattr(row, key), promised.get(key), getattr(run.winner.limits, limit))
        for name, key, limit in QUANTITIES
    )


def _gauge(name: str, measured: float, promised: float | None, limit: float | None) -> Gauge:
    show = _ms_text if name == "Latency" else bytes_text
    return Gauge(
        name,
        show(measured),
        NONE if promised is None else show(promised),
        "none" if limit is None else show(limit),
        min(100.0, 100.0 * measured / limit) if limit else 0.0,
        limit is None or measured <= limit,
    )


def _ms_text(latency_ms: float) -> str:
    return f"{latency_ms:.2f} ms"


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)
