"""Records to make a history of."""

import pytest

from farm.benchmark.record import Part, Record

PARTS = (
    Part("pointwise, 64 channels and more", 900, 90, 1350, 801),
    Part("pool", 0, 10, 150, 99),
)


def make(**changes) -> Record:
    """A record of 1000 MACs, 1500 cycles, 900 instructions."""
    values = {
        "commit": "aaaaaaaaaaaa",
        "case": "mlperf_vww_96",
        "variant": "folded",
        "board_type": "nucleo-f412zg",
        "core": "cortex-m4",
        "clock_hz": 100_000_000,
        "timing_model": "m4-v2",
        "compiler": "zig cc 0.17.1",
        "flags": "-O3",
        "macs": 1000,
        "cycles": 1500,
        "instructions": 900,
        "arena_bytes": 4000,
        "stack_bytes": 300,
        "flash_bytes": 60000,
        "code_bytes": 12000,
        "constant_bytes": 44000,
        "parts": PARTS,
    }
    return Record(**(values | changes))


@pytest.fixture(name="make")
def make_fixture():
    return make
