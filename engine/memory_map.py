"""A picture of a plan: tensors and scratch over time, against their offsets in the arena."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from engine.graph import Graph
from engine.plan import Plan, overlap
from engine.svg import Box, element, fitted, number, text
from engine.tenants import lifetimes

LEFT, RIGHT, TOP, BOTTOM = 84, 24, 84, 190
HEIGHT = 420
"""Pixels around the plot, and of it."""

WIDTH, LEAST_STEP, MOST_STEP = 1100, 12, 90
"""Pixels of the plot, and of one operator, which widens it where there are many."""

LABEL, SMALL = 10, 9  # px
LETTER = 5.1
"""Pixels that a small letter takes on average."""

LEAST_COLUMNS = 9
"""Letters of a name that say something."""
INK, FAINT = "#222222", "#dddddd"
PEAK, BOUND = "#c1121f", "#111111"

FILLS = {
    "input": ("#a8c8f0", "input"),
    "output": ("#a6dba0", "output"),
    "tensor": ("#e2e2e2", "tensor in between"),
    "scratch": ("#f6c56f", "scratch"),
    "shared": ("url(#shared)", "output over its dying input"),
}
"""What a box shows -> its fill, and what the legend says of it."""


@dataclass(frozen=True)
class _Thing:
    """Bytes [start, end) of the arena, from step ``first`` to ``last``, both included.

    labelled: from which step to which (not included) its name may stand, away from what it shares.
    """

    kind: str
    name: str
    start: int
    end: int
    first: int
    last: int
    labelled: tuple[int, int] = (0, 0)

    @property
    def about(self) -> str:
        """For the tool tip."""
        steps = (
            f"steps {self.first} to {self.last}" if self.last > self.first else f"step {self.first}"
        )
        return (
            f"{self.kind} {self.name}: {self.end - self.start:,} bytes at {self.start:,}, {steps}"
        )


@dataclass(frozen=True)
class _Scale:
    """Where steps and bytes lie in the picture."""

    steps: int
    top_bytes: int

    @property
    def step_px(self) -> float:
        return min(MOST_STEP, max(LEAST_STEP, WIDTH / self.steps))

    @property
    def right(self) -> float:
        return LEFT + self.steps * self.step_px

    def y(self, at: int) -> float:
        return TOP + HEIGHT * (1 - at / self.top_bytes)

    def box(self, thing: _Thing) -> Box:
        left = LEFT + thing.first * self.step_px
        width = (thing.last + 1 - thing.first) * self.step_px
        return Box(left, self.y(thing.end), width, self.y(thing.start) - self.y(thing.end))


def memory_map_svg(graph: Graph, plan: Plan) -> str:
    """An SVG document, on white: operators from left to right, the arena from its start upwards.

    An output that lies over its dying input is hatched where it does. Names are cut to what fits;
    a pointer held over a box shows them in full.
    """
    scale = _Scale(len(plan.order), max(1, plan.peak_bytes))
    things = list(_things(graph, plan))
    width, height = max(scale.right + RIGHT, 760), TOP + HEIGHT + BOTTOM
    parts = [
        element("rect", width=width, height=height, fill="#ffffff"),
        text((LEFT, 24), fitted(graph.name, 60), size=15, weight="bold"),
        *_legend(),
        *_byte_axis(scale),
        *_step_axis(graph, plan, scale),
        *(_box(thing, scale) for thing in things),
        *(line for thing in things for line in _label(thing, scale)),
        *_limits(plan, scale),
    ]
    size = f'width="{number(width)}" height="{number(height)}"'
    view = f'viewBox="0 0 {number(width)} {number(height)}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} {view} font-family="sans-serif">'
    return "\n".join((head, HATCH, *parts, "</svg>\n"))


HATCH = (
    '<defs><pattern id="shared" width="6" height="6" patternUnits="userSpaceOnUse" '
    'patternTransform="rotate(45)"><line x1="0" y1="0" x2="0" y2="6" stroke="#7b2cbf" '
    'stroke-width="2.4"/></pattern></defs>'
)


def _things(graph: Graph, plan: Plan) -> Iterator[_Thing]:
    """Tensors, the network's own last, then scratch, then what is shared: drawn over each other."""
    lives = lifetimes(graph, plan.order)
    shared = list(_shares(graph, plan, lives))
    for name in sorted(lives, key=lambda name: _kind(graph, name) != "tensor"):
        (first, last), start = lives[name], plan.offsets[name]
        yield _Thing(
            _kind(graph, name), name, start, start + graph.tensor(name).size, first, last,
            _labelled(first, last, {step for _, step, *pair in shared if name in pair}),
        )  # fmt: skip
    for step, index in enumerate(plan.order):
        name = graph.ops[index].name
        if name in plan.scratch_sizes:
            start = plan.scratch_offsets[name]
            end = start + plan.scratch_sizes[name]
            yield _Thing("scratch", name, start, end, step, step, (step, step + 1))
    for operator, step, source, output in shared:
        spans = [(plan.offsets[name], graph.tensor(name).size) for name in (source, output)]
        end = min(start + size for start, size in spans)
        yield _Thing("shared", operator, max(start for start, _ in spans), end, step, step)


def _shares(
    graph: Graph, plan: Plan, lives: Mapping[str, tuple[int, int]]
) -> Iterator[tuple[str, int, str, str]]:
    """(operator, step, input, output) where the output lies over the input."""
    for step, index in enumerate(plan.order):
        op = graph.ops[index]
        for name in dict.fromkeys(op.inputs):
            if name in lives and overlap(graph, plan.offsets, name, op.output):
                yield op.name, step, name, op.output


def _labelled(first: int, last: int, shared: Collection[int]) -> tuple[int, int]:
    """The steps for the name of a tensor: behind the first if shared, before the last if room."""
    start = first + (first in shared and last > first)
    return start, last + 1 - (last in shared and last > start)


def _kind(graph: Graph, name: str) -> str:
    if name in graph.inputs:
        return "input"
    return "output" if name in graph.outputs else "tensor"


def _box(thing: _Thing, scale: _Scale) -> str:
    fill = FILLS[thing.kind][0]
    return scale.box(thing).drawn(fill, title=thing.about, stroke="#666666", opacity=0.85)


def _label(thing: _Thing, scale: _Scale) -> Iterator[str]:
    """The name, or the size where there is less room, or nothing."""
    box = scale.box(thing)
    start, end = thing.labelled
    columns = int(((end - start) * scale.step_px - 4) / LETTER)
    size = f"{thing.end - thing.start:,}"
    label = fitted(thing.name, columns) if columns >= LEAST_COLUMNS else size
    if box.height >= SMALL + 1 and columns >= len(size):
        left = LEFT + start * scale.step_px + 3
        yield text((left, box.top + SMALL), label, size=SMALL, halo=True)


def _legend() -> Iterator[str]:
    left = LEFT
    for fill, label in FILLS.values():
        yield Box(left, 40, 14, 12).drawn(fill, stroke="#666666")
        yield text((left + 19, 50), label, size=LABEL + 1)
        left += 46 + 6 * len(label)


def _byte_axis(scale: _Scale) -> Iterator[str]:
    yield text((LEFT - 8, TOP - 14), "bytes", size=LABEL, anchor="end")
    for at in range(0, scale.top_bytes + 1, _tick(scale.top_bytes)):
        y = scale.y(at)
        yield element("line", x1=LEFT - 4, y1=y, x2=scale.right, y2=y, stroke=FAINT)
        yield text((LEFT - 8, y + 3.5), f"{at:,}", size=LABEL, anchor="end")


def _tick(top: int) -> int:
    """The distance of 5 to 12 round numbers up to ``top``."""
    unit = 1
    while True:
        for factor in (1, 2, 5):
            if top < 12 * factor * unit:
                return factor * unit
        unit *= 10


def _step_axis(graph: Graph, plan: Plan, scale: _Scale) -> Iterator[str]:
    """Every operator's name, downwards."""
    foot = TOP + HEIGHT
    for step, index in enumerate(plan.order):
        op = graph.ops[index]
        x = LEFT + (step + 0.5) * scale.step_px
        label = op.name if op.kind in op.name else f"{op.kind} {op.name}"
        yield text((x - 3, foot + 8), f"{step} {fitted(label, 27)}", size=LABEL, down=True)
        yield element("line", x1=x, y1=foot, x2=x, y2=foot + 5, stroke=INK)
    yield element("line", x1=LEFT, y1=foot, x2=scale.right, y2=foot, stroke=INK)


def _limits(plan: Plan, scale: _Scale) -> Iterator[str]:
    """The peak and the lower bound."""
    rows = (
        (plan.peak_bytes, PEAK, "none", LEFT, "start", f"peak {plan.peak_bytes:,}"),
        (plan.lower_bound_bytes, BOUND, "5 4", scale.right, "end",
         f"lower bound {plan.lower_bound_bytes:,}"),
    )  # fmt: skip
    for at, colour, dashes, x, anchor, label in rows:
        y = scale.y(at)
        yield element("line", x1=LEFT, y1=y, x2=scale.right, y2=y, stroke=colour,
                      stroke_width=1.6, stroke_dasharray=dashes)  # fmt: skip
        yield text((x, y - 5), label, size=LABEL + 1, anchor=anchor, fill=colour)
