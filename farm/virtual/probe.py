"""A pyOCD debug probe that reaches a virtual board through its daemon."""

# mypy: disallow-subclassing-any=False
# pyOCD has no usable types for mypy, so its base class is Any here.

from __future__ import annotations

from pyocd.probe.debug_probe import DebugProbe


class VirtualProbe(DebugProbe):
    """The debug port of one virtual board."""

    @classmethod
    def get_all_connected_probes(
        cls, unique_id: str | None = None, is_explicit: bool = False
    ) -> list[VirtualProbe]:
        """Every virtual board whose daemon answers."""
        return []

    @classmethod
    def get_probe_with_id(cls, unique_id: str, is_explicit: bool = False) -> VirtualProbe | None:
        """The virtual board with exactly this id, if its daemon answers."""
        return None
