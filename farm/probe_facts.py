"""What a debug probe says of itself: its firmware, and the voltage of its target.

pyOCD has no common name for these: each kind of probe keeps them on its own link.
"""

from typing import Any

_FIRMWARE = ("firmware_version", "version_str")  # of CMSIS-DAP from 2.1 on, and J-Link; of ST-Link
_SUPPLY = "target_voltage"  # of ST-Link, which measures it when it is opened


def of(probe: Any) -> dict[str, str | float]:
    """`probe_firmware` and `supply_v` of an open pyOCD probe, each if the probe tells it."""
    sources = (probe, getattr(probe, "_link", None))
    found = (getattr(source, name, None) for source in sources for name in _FIRMWARE)
    firmware = next((text for text in found if isinstance(text, str) and text.strip()), "")
    volts: object = getattr(sources[1], _SUPPLY, None)
    facts: dict[str, str | float] = {"probe_firmware": firmware.strip()} if firmware else {}
    if isinstance(volts, int | float) and volts > 0:
        facts["supply_v"] = round(float(volts), 3)
    return facts
