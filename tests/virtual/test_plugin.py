from __future__ import annotations

from pyocd.core.helpers import ConnectHelper
from pyocd.probe.aggregator import PROBE_CLASSES, DebugProbeAggregator

from farm.virtual.plugin import VirtualProbePlugin
from farm.virtual.probe import VirtualProbe


def test_pyocd_finds_the_probe_by_its_entry_point() -> None:
    assert PROBE_CLASSES["virtual"] is VirtualProbe
    assert VirtualProbePlugin().load() is VirtualProbe


def test_no_board_is_listed_while_the_rack_is_down() -> None:
    assert ConnectHelper.get_all_connected_probes(False, "virtual:TR-T412", True) == []


def test_ids_of_other_probes_are_not_taken_for_ours() -> None:
    assert DebugProbeAggregator.get_probe_with_id("virtual:../../x y") is None
