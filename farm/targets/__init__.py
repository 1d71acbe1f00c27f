"""pyOCD targets of our own: parts that it does not know, and one whose algorithm it has wrong."""

from __future__ import annotations

import importlib

NAMES = ("stm32f746nghx", "stm32h743zitx", "stm32l4r5zitx")
"""What a board type's `target` may be besides pyOCD's own; the names of ST's device packs."""


def register() -> None:
    """Make the targets known to pyOCD in this process; may be done again."""
    # Late, since pyOCD takes about a second to import; and its plug-ins first: it loads them
    # while it is half imported, which fails when it began with the targets.
    for module in ("pyocd.probe.aggregator", "farm.targets.stm32"):
        importlib.import_module(module)
