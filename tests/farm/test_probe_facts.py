"""What probes say of themselves, on the link where pyOCD keeps it for each kind."""

from types import SimpleNamespace

import pytest

from farm import probe_facts


@pytest.mark.parametrize(
    ("probe", "facts"),
    [
        (  # ST-Link
            SimpleNamespace(_link=SimpleNamespace(version_str="V2J43M28", target_voltage=3.2491)),
            {"probe_firmware": "V2J43M28", "supply_v": 3.249},
        ),
        (  # CMSIS-DAP before 2.1
            SimpleNamespace(_link=SimpleNamespace(firmware_version=None)),
            {},
        ),
        (  # J-Link
            SimpleNamespace(_link=SimpleNamespace(firmware_version="J-Link V11 \n")),
            {"probe_firmware": "J-Link V11"},
        ),
        (SimpleNamespace(firmware_version="tinyrack 1.0"), {"probe_firmware": "tinyrack 1.0"}),
        (SimpleNamespace(_link=SimpleNamespace(version_str="", target_voltage=0)), {}),
    ],
)
def test_firmware_and_supply_are_stored_where_they_are_told(probe, facts):
    assert probe_facts.of(probe) == facts
