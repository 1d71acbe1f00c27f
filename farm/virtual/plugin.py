"""The entry point through which pyOCD finds virtual boards."""

# mypy: disallow-subclassing-any=False
# pyOCD has no usable types for mypy, so its base class is Any here.

from importlib import import_module

from pyocd.core.plugin import Plugin

from farm import targets


class VirtualProbePlugin(Plugin):
    """Names the virtual probe to pyOCD: `-u virtual:TR-F412-01`."""

    @property
    def name(self) -> str:
        """The prefix of a unique id that selects this kind of probe."""
        return "virtual"

    @property
    def description(self) -> str:
        """One line for `pyocd list --plugins`."""
        return "Tinyrack virtual boards"

    def load(self) -> type:
        """The probe class, imported late: pyOCD loads plug-ins while it is itself half imported.

        With it come the targets of ours, also for real boards: `pyocd flash -t stm32l4r5zitx`.
        """
        probe: type = import_module("farm.virtual.probe").VirtualProbe
        targets.register()
        return probe
