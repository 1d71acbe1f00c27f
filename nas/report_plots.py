"""The three pictures of a report, each on axes of its own, and the figure that holds all three."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import EngFormatter, FuncFormatter, MaxNLocator, NullFormatter

from nas.report_data import Candidate, LayerRow, Run
from nas.report_style import LIGHT, Mark, Theme, marks, percent_text, plain

LOG_RATIO = 6.0  # a wider span than this reads better on a logarithmic axis
PALE = 0.35  # opacity of what is over a limit
NAMED_LAYERS = 44  # more layers than this are numbered, not named
PNG_DPI = 150
METADATA = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}
Picture = Callable[[Any, Run, Theme], None]  # draws a run on a (sub-)figure


def overview_png(run: Run) -> bytes:
    """One figure with all three pictures, 1650 pixels wide, for a README."""
    with mpl.rc_context(dict(LIGHT.rc)):
        panels = _layer_panels(run)
        figure: Any = Figure(figsize=(11, 7.2 + 2.2 * panels), layout="constrained")
        heights = (5.2, 2 + 2.2 * panels)
        upper, lower = figure.subfigures(2, 1, height_ratios=heights, hspace=0.03)
        left, right = upper.subfigures(1, 2, wspace=0.03)
        for part, draw in zip((left, right, lower), PICTURES.values(), strict=True):
            draw(part, run, LIGHT)
        figure.suptitle(headline(run), fontsize=11.5, color=LIGHT.muted)
        return _rendered(figure, "png")


def picture_svg(name: str, run: Run, theme: Theme) -> bytes:
    """One of PICTURES as SVG with all letters as outlines, the same bytes for the same run."""
    with mpl.rc_context(dict(theme.rc)):
        size = (11, 2.2 + 2.2 * _layer_panels(run)) if name == "layers" else (6.2, 5.0)
        figure = Figure(figsize=size, layout="constrained")
        PICTURES[name](figure, run, theme)
        return _rendered(figure, "svg")


def headline(run: Run) -> str:
    """Whose numbers these are; virtual ones are never left to be taken for silicon."""
    boards = ", ".join(plain(each) for each in run.board_types)
    if not run.virtual:
        return f"{plain(run.task)} on {boards}"
    models = ", ".join(plain(each) for each in run.timing_models) or "unnamed"
    word = "models" if len(run.timing_models) > 1 else "model"
    return f"{plain(run.task)} on {boards} (virtual board, cycle {word} {models}, not silicon)"


def draw_prediction(part: Any, run: Run, theme: Theme) -> None:
    """Predicted against measured cycles, with the error in percent beneath."""
    rows = [row for row in run.candidates if row.measured]
    upper, lower = part.subplots(2, 1, sharex=True, height_ratios=(2.6, 1))
    upper.set_title("Predicted against measured")
    lower.set_xlabel("measured (cycles)")
    upper.set_ylabel("predicted (cycles)")
    lower.set_ylabel("prediction\nerror (%)")
    if not rows:
        lower.set_visible(False)
        _say_nothing(upper, "no candidate was measured")
        return
    styles = marks(run.board_types, theme)
    _scatter_predictions(upper, rows, styles)
    _scatter_errors(lower, rows, styles)
    _identity_and_bands(upper, lower, theme)
    _cycle_axes(upper, lower, rows)
    _grid(upper, lower)
    handles = _type_handles(rows, styles) + _band_handles(theme)
    upper.legend(handles=handles, loc="upper left", borderaxespad=0.2)


def draw_tradeoff(part: Any, run: Run, theme: Theme) -> None:
    """Accuracy against latency of all candidates, with the latency limit and the winner."""
    axes = part.subplots()
    axes.set_title("Accuracy against latency")
    axes.set_xlabel("latency (ms)")
    axes.set_ylabel("accuracy, validation images (%)")
    rows = [r for r in run.candidates if r.latency_ms and r.accuracy is not None]
    styles = marks(run.board_types, theme)
    for name, group in _by_type(rows).items():
        for measured, feasible in product((False, True), repeat=2):
            alike = [r for r in group if r.measured is measured and r.feasible is feasible]
            _mark_candidates(axes, alike, styles[name], measured=measured, feasible=feasible)
    right = [result for result in run.winner.results if result.status == "ok"]
    for result in right:
        spot = (result.latency_ms, 100 * run.winner.int8_accuracy)
        _mark_winner(axes, spot, styles[result.board_type], theme)
    known = [*(r.latency_ms for r in rows if r.latency_ms), *(r.latency_ms for r in right)]
    _latency_scale(axes, known, run.winner.limits.latency_ms)
    _latency_limit(axes, run.winner.limits.latency_ms, theme)
    _grid(axes)
    _legend_below(axes, _tradeoff_handles(run, rows, styles, theme))


def draw_layers(part: Any, run: Run, theme: Theme) -> None:
    """Measured cycles of the winner's layers as bars by kernel, predictions as black marks."""
    layers = run.winner.layers
    groups = sorted({row.board_type for row in layers})
    kernels = sorted({row.kernel for row in layers})
    styles = marks(kernels, theme)
    panels = part.subplots(max(len(groups), 1), 1, squeeze=False, sharex=True)[:, 0]
    panels[0].set_title("The winner, layer by layer")
    if not layers:
        _say_nothing(panels[0], "no layer of the winner was measured")
        return
    for axes, group in zip(panels, groups, strict=True):
        rows = [row for row in layers if row.board_type == group]
        _bars(axes, rows, styles, theme)
        axes.set_ylabel(f"{plain(group, 24)}\n(cycles)")
        _grid(axes, which="y")
    _name_layers(panels[-1], [row for row in layers if row.board_type == groups[-1]])
    panels[0].legend(
        handles=_kernel_handles(kernels, styles, theme),
        loc="upper left",
        bbox_to_anchor=(1.0, 1.02),
    )


PICTURES: dict[str, Picture] = {
    "prediction": draw_prediction,
    "tradeoff": draw_tradeoff,
    "layers": draw_layers,
}


def _layer_panels(run: Run) -> int:
    """One for each board type that the winner's layers were measured on."""
    return max(1, len({row.board_type for row in run.winner.layers}))


def _rendered(figure: Figure, kind: str) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, dpi=PNG_DPI, metadata=METADATA[kind])
    return buffer.getvalue()


def _scatter_predictions(axes: Any, rows: Sequence[Candidate], styles: dict[str, Mark]) -> None:
    for name, group in _by_type(rows).items():
        points = [(r.measured_cycles, r.predicted_cycles, r.upper_cycles) for r in group]
        _with_bounds(axes, points, styles[name])


def _scatter_errors(axes: Any, rows: Sequence[Candidate], styles: dict[str, Mark]) -> None:
    for name, group in _by_type(rows).items():
        points = [(r.measured_cycles, r.error_percent, r.upper_error_percent) for r in group]
        _with_bounds(axes, points, styles[name])


def _with_bounds(axes: Any, points: Sequence[tuple[Any, Any, Any]], mark: Mark) -> None:
    """Draw (x, y, upper bound of y or None) as marks with a bar up to the bound."""
    x, y, upper = zip(*points, strict=True)
    heights = [0.0 if high is None else high - low for low, high in zip(y, upper, strict=True)]
    bars = [[0.0] * len(y), heights]
    style: dict[str, Any] = {"color": mark.colour, "markersize": 4.5, "alpha": 0.85}
    axes.errorbar(x, y, yerr=bars, fmt=mark.shape, elinewidth=1.1, capsize=2, **style)


def _by_type(rows: Sequence[Candidate]) -> dict[str, list[Candidate]]:
    groups: dict[str, list[Candidate]] = {}
    for row in rows:
        groups.setdefault(row.board_type, []).append(row)
    return groups


def _identity_and_bands(upper: Any, lower: Any, theme: Theme) -> None:
    low, high = upper.get_xlim()
    ends = [max(low, 1.0) / 4, high * 4]
    for share, alpha in ((0.10, 0.16), (0.05, 0.26)):
        below, above = ([end * (1 + s) for end in ends] for s in (-share, share))
        upper.fill_between(ends, below, above, color=theme.band, alpha=alpha, linewidth=0)
        lower.axhspan(-100 * share, 100 * share, color=theme.band, alpha=alpha, linewidth=0)
    upper.plot(ends, ends, color=theme.muted, linewidth=1)
    lower.axhline(0.0, color=theme.muted, linewidth=1)


def _cycle_axes(upper: Any, lower: Any, rows: Sequence[Candidate]) -> None:
    every = [v for r in rows for v in (r.measured_cycles, r.predicted_cycles, r.upper_cycles) if v]
    _span(upper, "both", min(every), max(every))
    misses = [m for r in rows for m in (r.error_percent, r.upper_error_percent) if m is not None]
    reach = max(12.0, *(1.15 * abs(miss) for miss in misses))
    lower.set_ylim(-reach, reach)
    lower.yaxis.set_major_locator(MaxNLocator(5, symmetric=True))


def _span(axes: Any, which: str, low: float, high: float) -> None:
    """Fit an axis around [low, high], logarithmic when that spans much."""
    wide = high / low > LOG_RATIO
    pad = (high / low) ** 0.06 if wide else 1.0
    room = max(0.06 * (high - low), 0.04 * high)
    limits = (low / pad, high * pad) if wide else (max(low - room, 0.0), high + room)
    for name in "xy" if which == "both" else which:
        axes.set(**{f"{name}scale": "log" if wide else "linear", f"{name}lim": limits})
        axis = getattr(axes, f"{name}axis")
        if not wide:
            axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        axis.set_major_formatter(EngFormatter(sep=" "))
        crowded = not wide or high / low > 300
        axis.set_minor_formatter(NullFormatter() if crowded else FuncFormatter(_two_and_five))


def _mark_candidates(
    axes: Any, rows: Sequence[Candidate], mark: Mark, *, measured: bool, feasible: bool
) -> None:
    axes.plot(
        [row.latency_ms for row in rows],
        [100 * (row.accuracy or 0.0) for row in rows],
        mark.shape,
        markersize=6 if measured else 5,
        markerfacecolor=mark.colour if measured else "none",
        markeredgecolor=mark.colour,
        markeredgewidth=1.0,
        alpha=0.9 if feasible else PALE,
        zorder=3 if measured else 2,
    )


def _mark_winner(axes: Any, spot: tuple[float, float], mark: Mark, theme: Theme) -> None:
    axes.plot(
        *spot,
        "*",
        markersize=17,
        color=mark.colour,
        markeredgecolor=theme.star,
        markeredgewidth=1.3,
        zorder=5,
    )


def _latency_scale(axes: Any, known: Sequence[float], limit: float | None) -> None:
    every = [*known, *([limit] if limit else [])] or [1.0]
    _span(axes, "x", min(every), max(every))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _two_and_five(value: float, _: object) -> str:
    """Label 2 and 5 of each decade, the others stay bare ticks."""
    return EngFormatter(sep=" ")(value) if f"{value:e}"[0] in "25" else ""


def _latency_limit(axes: Any, limit: float | None, theme: Theme) -> None:
    if limit:
        axes.axvline(limit, color=theme.bad, linewidth=1.3, linestyle="--", zorder=1)
        axes.axvspan(limit, axes.get_xlim()[1], color=theme.bad, alpha=0.08, linewidth=0)


def _bars(axes: Any, rows: Sequence[LayerRow], styles: dict[str, Mark], theme: Theme) -> None:
    for kernel, mark in styles.items():
        own = [(index, r.measured_cycles) for index, r in enumerate(rows) if r.kernel == kernel]
        places, heights = zip(*own, strict=True) if own else ((), ())
        edge: dict[str, Any] = {"edgecolor": theme.background, "linewidth": 0.5}
        axes.bar(places, heights, width=0.72, color=mark.colour, hatch=mark.hatch, **edge)
    predicted = [row.predicted_cycles for row in rows]
    axes.hlines(
        predicted,
        [index - 0.46 for index in range(len(rows))],
        [index + 0.46 for index in range(len(rows))],
        color=theme.star,
        linewidth=1.9,
    )
    axes.set_xlim(-0.7, len(rows) - 0.3)
    axes.yaxis.set_major_formatter(EngFormatter(sep=" "))
    axes.yaxis.set_major_locator(MaxNLocator(5))


def _name_layers(axes: Any, rows: Sequence[LayerRow]) -> None:
    if len(rows) > NAMED_LAYERS:
        axes.set_xlabel("layer (number)")
        axes.xaxis.set_major_locator(MaxNLocator(20, integer=True))
        return
    few = len(rows) <= 10
    axes.set_xticks(
        range(len(rows)),
        [plain(row.name, 20) for row in rows],
        rotation=0 if few and max(len(row.name) for row in rows) <= 10 else 52,
        ha="center" if few and max(len(row.name) for row in rows) <= 10 else "right",
        rotation_mode="anchor",
        fontsize=9 if len(rows) <= 30 else 7.5,
    )


def _type_handles(rows: Sequence[Candidate], styles: dict[str, Mark]) -> list[Line2D | Patch]:
    handles: list[Line2D | Patch] = []
    for name in sorted({row.board_type for row in rows}):
        errors = sorted(abs(r.error_percent or 0.0) for r in rows if r.board_type == name)
        label = (
            f"{plain(name)}: {len(errors)} measured, median error {errors[len(errors) // 2]:.1f} %"
        )
        handles.append(_dot(styles[name], label))
    return handles


def _dot(mark: Mark, label: str, *, filled: bool = True, alpha: float = 1.0) -> Line2D:
    face = mark.colour if filled else "none"
    style: dict[str, Any] = {"markerfacecolor": face, "markeredgecolor": mark.colour}
    style["alpha"] = alpha
    return Line2D([], [], linestyle="", marker=mark.shape, markersize=6, label=label, **style)


def _band_handles(theme: Theme) -> list[Line2D | Patch]:
    return [
        Patch(color=theme.band, alpha=0.5, linewidth=0, label="within 5 %"),
        Patch(color=theme.band, alpha=0.18, linewidth=0, label="within 10 %; bars: upper bound"),
    ]


def _tradeoff_handles(
    run: Run, rows: Sequence[Candidate], styles: dict[str, Mark], theme: Theme
) -> list[Line2D | Patch]:
    handles: list[Line2D | Patch] = []
    for name in run.board_types:
        handles += _count_handles([r for r in rows if r.board_type == name], name, styles[name])
    if not all(row.feasible for row in rows):
        handles.append(_dot(Mark(theme.muted, "o", ""), "pale: over a limit", alpha=PALE))
    if run.winner.limits.latency_ms:
        text = f"limit {run.winner.limits.latency_ms:g} ms"
        handles.append(Line2D([], [], color=theme.bad, linestyle="--", label=text))
    star: dict[str, Any] = {"markerfacecolor": "none", "markeredgecolor": theme.star}
    text = f"winner, fine-tuned: {percent_text(run.winner.int8_accuracy)} int8 (test)"
    handles.append(Line2D([], [], linestyle="", marker="*", markersize=12, label=text, **star))
    return handles


def _count_handles(rows: Sequence[Candidate], name: str, mark: Mark) -> list[Line2D]:
    handles = []
    for filled, word in ((True, "measured"), (False, "predicted")):
        count = sum(row.measured is filled for row in rows)
        if count:
            handles.append(_dot(mark, f"{plain(name)}: {count} {word}", filled=filled))
    return handles


def _kernel_handles(
    kernels: Sequence[str], styles: dict[str, Mark], theme: Theme
) -> list[Line2D | Patch]:
    handles: list[Line2D | Patch] = [
        Patch(
            facecolor=styles[name].colour,
            hatch=styles[name].hatch,
            edgecolor=theme.background,
            label=plain(name),
        )
        for name in kernels
    ]
    return [*handles, Line2D([], [], color=theme.star, linewidth=1.9, label="predicted")]


def _legend_below(axes: Any, handles: Sequence[Line2D | Patch]) -> None:
    axes.legend(
        handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2, columnspacing=1.2
    )


def _grid(*panels: Any, which: str = "both") -> None:
    for axes in panels:
        axes.grid(visible=True, axis=which, linewidth=0.8)


def _say_nothing(axes: Any, text: str) -> None:
    axes.set_axis_off()
    axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes)
