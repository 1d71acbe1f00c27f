"""docs/benchmarks.svg: cycles a MAC of every network, beside the best published silicon."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from engine.svg import Box, element, number, text
from farm.benchmark.names import core_name
from farm.benchmark.peers import Peer, best_silicon
from farm.benchmark.record import Record

WIDTH = 800.0
_LEFT, _RIGHT, _TOP = 290.0, 50.0, 48.0
_BAR, _GAP, _SIZE = 15.0, 22.0, 11.0
_COLOURS = {"folded": "#2b6cb0", "file": "#90bfe8", "silicon": "#9a9a9a"}
_TITLE = "Cycles per multiply-accumulate of the file; those of virtual boards are a model's"
_LEGEND = {
    "folded": "here, as compiled",
    "file": "here, no rewrites",
    "silicon": "best published, silicon",
}
Bar = tuple[str, str, float]
"""Colour's name, label, cycles a MAC."""


def picture(records: Sequence[Record], peers: Sequence[Peer]) -> str:
    """The whole file. records: the last of each case of a network."""
    groups = list(_groups(records, peers))
    rows = sum(len(bars) for _, bars in groups)
    height = _TOP + rows * _BAR + len(groups) * _GAP + _GAP
    most = max((bar[2] for _, bars in groups for bar in bars), default=1.0)
    shapes = [*_head(), *_drawn(groups, (WIDTH - _LEFT - _RIGHT) / most)]
    size = f'width="{number(WIDTH)}" height="{number(height)}"'
    view = f'viewBox="0 0 {number(WIDTH)} {number(height)}"'
    paper = element("rect", width="100%", height="100%", fill="#ffffff")
    name = f'<svg xmlns="http://www.w3.org/2000/svg" {size} {view} font-family="sans-serif">'
    return "\n".join((name, paper, *shapes, "</svg>")) + "\n"


def _groups(records: Sequence[Record], peers: Sequence[Peer]) -> Iterator[tuple[str, list[Bar]]]:
    """For each network and board its bars."""
    for case, board in dict.fromkeys((r.case, r.board_type) for r in records):
        mine = [r for r in records if (r.case, r.board_type) == (case, board)]
        bars: list[Bar] = [(r.variant, _place(r), r.cycles / max(1, r.macs)) for r in mine]
        best = best_silicon(peers, case, mine[0].core)
        if best:
            label = f"{best[0].engine}, {best[0].board}"
            bars.append(("silicon", label, best[1] / max(1, mine[0].macs)))
        yield f"{case}, {core_name(mine[0].core)}", bars


def _place(record: Record) -> str:
    return f"{record.board_type}, {'virtual' if record.virtual else 'silicon'}"


def _head() -> Iterator[str]:
    yield text((12, 20), _TITLE, size=13, weight="bold")
    left = 12.0
    for name, words in _LEGEND.items():
        yield Box(left, 30, 10, 10).drawn(_COLOURS[name], stroke="none")
        yield text((left + 15, 39), words, size=_SIZE)
        left += 150


def _drawn(groups: Sequence[tuple[str, list[Bar]]], pixels: float) -> Iterator[str]:
    """pixels: of one cycle a MAC."""
    top = _TOP
    for title, bars in groups:
        yield text((12, top + 17), title, size=_SIZE, weight="bold")
        top += _GAP
        for name, label, value in bars:
            yield text((_LEFT - 6, top + 11), label, size=9, anchor="end")
            box = Box(_LEFT, top + 1, value * pixels, _BAR - 3)
            yield box.drawn(_COLOURS[name], stroke="none", title=f"{label}: {value:.3f}")
            yield text((_LEFT + value * pixels + 4, top + 11), f"{value:.2f}", size=9)
            top += _BAR
