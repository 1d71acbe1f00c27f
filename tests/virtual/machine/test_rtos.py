"""A small real-time system keeps its registers through thousands of switches."""

from __future__ import annotations

import pytest

from tests.virtual.machine.rtos_source import RTOS, head, report

PARTS = {"stm32f412zg": "m4", "stm32f767zi": "m7"}


@pytest.mark.parametrize("part", PARTS)
def test_tasks_keep_their_registers_for_thousands_of_ticks(build, part) -> None:
    found = report(build(RTOS, part, head=head(5000, 1000)).run(1_000_000_000))
    assert found.intact
    assert found.counts["ticks"] == 5000
    assert min(found.counts["calls"], found.counts["yields"]) > 100


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("part", PARTS)
def test_python_and_native_code_agree_in_cycles_and_memory(build, part, version) -> None:
    def end(native: bool, budget: int) -> object:
        wanted = f"{PARTS[part]}-{version}"
        return report(
            build(RTOS, part, native, model=wanted, head=head(150, 411)).run(budget, 100_000)
        )

    whole = end(native=True, budget=1_000_000_000)
    assert whole.intact
    assert end(native=True, budget=177) == whole
    assert end(native=False, budget=1_000_000) == whole
