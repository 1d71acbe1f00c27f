"""The breakpoint unit: what it has beside comparators, and what it has not."""

from __future__ import annotations

import pytest

from farm.virtual.machine import Machine
from farm.virtual.parts import load_part, part_names

FPB = 0xE0002000


@pytest.mark.parametrize("part", part_names())
def test_breakpoint_unit_does_not_remap(part) -> None:
    known = load_part(part)
    machine = Machine(known, bytearray(b"\xff" * known.flash_bytes), lambda _: None)
    machine.write(FPB + 4, 4, 0xFFFFFFFF)
    assert machine.read(FPB + 4, 4) == 0
