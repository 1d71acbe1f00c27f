"""The rack of a soak: boards of every type that a rack file knows, all of them virtual."""

from __future__ import annotations

from pathlib import Path

import yaml

from farm.rack.inventory import Rack, load_rack

PROBE_PREFIX = "TR-SOAK-"


def write_rack(path: Path, source: Rack, count: int) -> Rack:
    """A rack file with `count` virtual boards of the source's types, one type after the other."""
    names = list(source.types)
    types = {kind.name: {"mcu": kind.mcu, "target": kind.target} for kind in source.types.values()}
    boards = [
        {
            "id": f"soak-{number:02}",
            "type": names[number % len(names)],
            "probe": f"virtual:{PROBE_PREFIX}{number:02}",
        }
        for number in range(count)
    ]
    text = yaml.safe_dump({"version": 1, "types": types, "boards": boards}, sort_keys=False)
    path.write_text(text, encoding="utf-8")
    return load_rack(path)
