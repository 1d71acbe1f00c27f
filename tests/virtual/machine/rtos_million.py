"""The real-time system for a million ticks; not part of the tests: `nox -s rtos`."""

from __future__ import annotations

import sys
import time

import pytest

from tests.virtual.machine.rtos_source import RTOS, head, report

TICKS, PERIOD = 1_000_000, 2000


@pytest.mark.parametrize("part", ["stm32f412zg", "stm32f767zi"])
def test_million_ticks_lose_no_register_and_end_the_same_twice(build, part) -> None:
    runs = []
    for _ in range(2):
        rig = build(RTOS, part, head=head(TICKS, PERIOD))
        begun = time.process_time()
        runs.append(report(rig.run(1_000_000_000)))
        spent = time.process_time() - begun
        line = f"{spent:.1f} CPU-s, {spent / TICKS * 1e6:.1f} us a tick"
        sys.stdout.write(f"\n{part}: {line}; {runs[-1]}\n")
    assert runs[0] == runs[1]
    assert runs[0].intact
