"""Strips: how tr_depthwise cuts its output, a quad of channels at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from engine.graph import Graph, Op

STRIP_BYTES = 1536
"""TR_STRIP_BYTES in depthwise.c."""


@dataclass(frozen=True)
class Strips:
    """tr_strip_of in depthwise.c: output rows of a full strip, words of a gathered row.

    reach: gathered rows under one output row; rows are those of the input, from -before on.
    """

    width: int
    reach: int
    rows: int
    out_rows: int
    stride: int
    before: int

    @property
    def scratch_bytes(self) -> int:
        """The gathered rows of the highest strip."""
        return 4 * self.width * ((self.rows - 1) * self.stride + self.reach)

    def gathers(self) -> Iterator[tuple[int, range, int]]:
        """Of each strip: the output row behind it, the input rows it gathers, those it keeps."""
        known = -self.before
        for first in range(0, self.out_rows, self.rows):
            end = min(first + self.rows, self.out_rows)
            top = first * self.stride - self.before
            bottom = (end - 1) * self.stride - self.before + self.reach
            new = range(max(top, known), bottom)
            yield end, new, bottom - top - len(new)
            known = bottom


def strips(graph: Graph, op: Op) -> Strips:
    """Those of a depthwise operator."""
    out_h, out_w, _ = graph.tensor(op.output).shape
    down, right = op.stride
    reach, columns = op.reach
    width = (out_w - 1) * right + columns
    spare = STRIP_BYTES // (4 * width) - reach
    most = 1 if spare < 0 else spare // down + 1
    rows = -(-out_h // -(-out_h // most))  # as many strips, of one height
    return Strips(width, reach, rows, out_h, down, op.padding.top)
