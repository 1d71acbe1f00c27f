from __future__ import annotations

import subprocess
import sys

import pytest
from pyocd.core.helpers import ConnectHelper
from pyocd.probe.aggregator import PROBE_CLASSES, DebugProbeAggregator

from farm.virtual.plugin import VirtualProbePlugin
from farm.virtual.probe import VirtualProbe


def test_pyocd_finds_the_probe_by_its_entry_point() -> None:
    assert PROBE_CLASSES["virtual"] is VirtualProbe
    assert VirtualProbePlugin().load() is VirtualProbe


@pytest.mark.parametrize("first", ["pyocd.target", "pyocd.core.session", "farm.targets.stm32"])
def test_probe_and_targets_are_there_whatever_is_imported_first(first: str) -> None:
    code = f"""
import {first}
from pyocd.probe.aggregator import PROBE_CLASSES
from pyocd.target import TARGET
assert "virtual" in PROBE_CLASSES and "stm32l4r5zitx" in TARGET
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_no_board_is_listed_while_the_rack_is_down() -> None:
    assert ConnectHelper.get_all_connected_probes(False, "virtual:TR-T412", True) == []


def test_ids_of_other_probes_are_not_taken_for_ours() -> None:
    assert DebugProbeAggregator.get_probe_with_id("virtual:../../x y") is None
