"""Pieces of SVG, with names of any kind made safe."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from unicodedata import east_asian_width
from xml.sax.saxutils import escape, quoteattr

INK = "#222222"


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels."""

    left: float
    top: float
    width: float
    height: float

    def drawn(self, fill: str, *, stroke: str, opacity: float = 1, title: str = "") -> str:
        """The rectangle; ``title`` is what a pointer over it shows."""
        return element("rect", title, x=self.left, y=self.top, width=self.width,
                       height=self.height, fill=fill, fill_opacity=opacity, stroke=stroke,
                       stroke_width=0.6)  # fmt: skip


def element(tag: str, title: str = "", **attributes: str | float) -> str:
    """``<tag .../>``; an underscore in a name is a hyphen there."""
    pairs = (
        f"{name.replace('_', '-')}={quoteattr(value if isinstance(value, str) else number(value))}"
        for name, value in attributes.items()
    )
    head = f"<{tag} {' '.join(pairs)}"
    return f"{head}><title>{safe(title)}</title></{tag}>" if title else f"{head}/>"


def text(
    at: tuple[float, float],
    content: str,
    *,
    size: float,
    anchor: str = "start",
    fill: str = INK,
    weight: str = "normal",
    down: bool = False,
    halo: bool = False,
) -> str:
    """Text whose line starts, or as ``anchor`` says, at a point.

    down: from there downwards; halo: on a white rim, to be read over anything.
    """
    x, y = map(number, at)
    turn = f' transform="rotate(90 {x} {y})"' if down else ""
    rim = ' stroke="#ffffff" stroke-width="2.5" paint-order="stroke"' if halo else ""
    return (
        f'<text x="{x}" y="{y}" font-size="{number(size)}" fill="{fill}" '
        f'text-anchor="{anchor}" font-weight="{weight}"{rim}{turn}>{safe(content)}</text>'
    )


def number(value: float) -> str:
    """At most two decimals, the same everywhere."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def safe(content: str) -> str:
    """``content`` as character data of XML; what does not print is a replacement character."""
    return escape("".join(letter if letter.isprintable() else "\ufffd" for letter in content))


def fitted(content: str, columns: int) -> str:
    """The end of ``content`` that fits ``columns``, wide letters counted twice.

    Of names joined by semicolons, as converters leave them, only the first.
    """
    first = content.split(";", 1)[0] or content
    taken = list(accumulate(map(_columns, reversed(first))))
    if not taken or taken[-1] <= columns:
        return first
    kept = sum(count < columns for count in taken)  # the ellipsis takes a column
    return "\u2026" + first[len(first) - kept :]


def _columns(letter: str) -> int:
    return 2 if east_asian_width(letter) in "WF" else 1
