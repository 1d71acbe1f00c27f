"""Colours, marks and units of a report's pictures, safe for colour-blind readers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# Okabe and Ito, "Color Universal Design" (2008): told apart with any common colour blindness.
_LIGHT = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A7A7A")
_DARK = ("#56B4E9", "#FF8C42", "#2FC79B", "#E39BC3", "#F0B83C", "#4F8FD6", "#A8A8A8")
MARKS = ("o", "s", "^", "D", "v", "P", "X")  # a second way to tell series apart
HATCHES = ("", "///", "...", "xxx")
FONT_LIMIT = 0x250  # the letters that the bundled font surely has


@dataclass(frozen=True)
class Theme:
    """The colours of one rendering."""

    name: str
    text: str
    muted: str
    grid: str
    background: str
    band: str
    bad: str
    star: str
    series: tuple[str, ...]

    @property
    def rc(self) -> Mapping[str, object]:
        """Matplotlib's settings for this theme; nothing global is touched with them."""
        plain = {
            "font.family": "DejaVu Sans",
            "font.size": 10.5,
            "axes.titlesize": 12,
            "axes.titleweight": "bold",
            "axes.titlelocation": "left",
            "axes.labelsize": 10.5,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.axisbelow": True,
            "legend.fontsize": 9.5,
            "legend.frameon": False,
            "legend.handlelength": 1.6,
            "svg.hashsalt": "tinyrack",
        }
        inked = ("text.color", "axes.labelcolor", "xtick.color", "ytick.color", "axes.titlecolor")
        colours = dict.fromkeys(inked, self.text) | {
            "axes.edgecolor": self.muted,
            "figure.facecolor": self.background,
            "axes.facecolor": self.background,
            "savefig.facecolor": self.background,
            "grid.color": self.grid,
        }
        return {**plain, **colours}


LIGHT = Theme(
    "light", "#1b1f24", "#6b7280", "#e5e7eb", "#ffffff", "#9ca3af", "#b42318", "#111111", _LIGHT
)
DARK = Theme(
    "dark", "#e6e9ee", "#9aa3af", "#323a45", "#161b22", "#8b95a3", "#ff8a7a", "#ffffff", _DARK
)


@dataclass(frozen=True)
class Mark:
    """How one series is drawn."""

    colour: str
    shape: str
    hatch: str


def marks(names: Sequence[str], theme: Theme) -> dict[str, Mark]:
    """A colour, shape and hatch for each name, in the order given."""
    count = len(theme.series)
    return {
        name: Mark(
            theme.series[index % count],
            MARKS[index % len(MARKS)],
            HATCHES[index // count % len(HATCHES)],
        )
        for index, name in enumerate(names)
    }


def plain(text: str, limit: int = 40) -> str:
    """Text that a picture shows as it is: no mathematics, no missing letters, bounded length."""
    kept = "".join(c if c.isprintable() and ord(c) < FONT_LIMIT else "?" for c in text)
    if len(kept) > limit:
        kept = kept[: limit - 1] + "~"
    return kept.replace("$", r"\$")


def bytes_text(size: float) -> str:
    """Bytes for a reader, to three digits or more: 512 B, 12.3 KiB, 1.00 MiB."""
    for unit, scale in (("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= scale:
            digits = 2 if size < 10 * scale else 1 if size < 100 * scale else 0
            return f"{size / scale:.{digits}f} {unit}"
    return f"{size:.0f} B"


def percent_text(share: float) -> str:
    """A share of one as percent."""
    return f"{100 * share:.1f} %"
