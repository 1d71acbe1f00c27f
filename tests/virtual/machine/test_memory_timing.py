"""What memory costs: wait states, accelerators, caches; the same in C, in Python, in any slices."""

from __future__ import annotations

import ctypes
import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from farm.virtual.caches import Cache, Geometry
from farm.virtual.memory_costs import allocating, cacheable, geometry
from farm.virtual.native import load_native
from farm.virtual.parts import load_part, part_names
from farm.virtual.pricing import load_model

M4, L4, H7, F7 = "stm32f412zg", "stm32l4r5zi", "stm32h743zi", "stm32f746ng"
LIBRARY = load_native()
WINDOW = 1 << 14
SHAPES = [
    Geometry(1, 64, 16, 16),  # code of an F4
    Geometry(1, 8, 32, 8),  # data of an L4
    Geometry(4, 2, 32, 32),
    Geometry(8, 4, 32, 32),
    Geometry(1, 1, 8, 8),
]


class Plain:
    """The same cache by dictionaries: for each set its lines, the longest unused first."""

    def __init__(self, shape: Geometry) -> None:
        self._shape = shape
        self._sets: list[dict[int, set[int]]] = [{} for _ in range(shape.sets)]

    def missing(self, start: int, last: int) -> int:
        found = 0
        line, row = self._shape.line_bytes, self._shape.row_bytes
        for number in range(start // line, last // line + 1):
            lines = self._sets[number % self._shape.sets]
            rows = lines.pop(number, set())
            if len(lines) == self._shape.ways:
                del lines[next(iter(lines))]
            lines[number] = rows
            low, high = max(start, number * line), min(last, number * line + line - 1)
            wanted = set(range(low // row, high // row + 1))
            found += len(wanted - rows)
            rows |= wanted
        return found


LOOK_UPS = st.lists(
    st.tuples(st.integers(0, 40), st.integers(0, 31), st.integers(0, 70)), max_size=60
)


@given(st.sampled_from(SHAPES), LOOK_UPS)
@settings(max_examples=120, deadline=None, derandomize=True)
def test_caches_forget_what_is_unused_for_longest(shape, look_ups) -> None:
    assert LIBRARY is not None
    plain, native, python = Plain(shape), Cache(shape, WINDOW), Cache(shape, WINDOW)
    first = ctypes.c_uint32()
    for line, offset, more in look_ups:
        start = line * 96 + offset
        last = start + more
        expected = plain.missing(start, last)
        in_python, first_in_python = python.look_up(start, last)
        in_c = LIBRARY.look_up_all(ctypes.byref(native.state), start, last, ctypes.byref(first))
        assert (in_c, in_python, first.value) == (expected, expected, first_in_python)
    for counter in ("clock", "hits", "misses"):
        assert getattr(native.state, counter) == getattr(python.state, counter)


def test_a_cleared_or_dropped_line_is_missing_again() -> None:
    cache = Cache(Geometry(4, 2, 32, 32))
    cache.look_up(0, 127)
    assert cache.look_up(0, 127)[0] == 0
    cache.drop_line(40)
    assert cache.look_up(0, 127)[0] == 1
    cache.drop(3, 0)
    assert cache.look_up(0, 127)[0] == 1
    cache.clear()
    assert cache.look_up(0, 127)[0] == 4


def test_geometry_is_what_ccsidr_says() -> None:
    known = load_part(F7).caches
    assert geometry(known["ccsidr_code"]) == Geometry(64, 2, 32, 32)  # 4 KiB
    assert geometry(known["ccsidr_data"]) == Geometry(32, 4, 32, 32)


# Waits 3 states on the F412 and the L4R5, and 2 on the H743, at the reset clock.
FLASH = {M4: "R(0x40023C00)", L4: "R(0x40022000)", H7: "R(0x52002000)", F7: "R(0x40023C00)"}
SETUP = {M4: 0x703, L4: 0x703, H7: 0x2, F7: 0x303}
L1 = """
static void caches_on(void) {
    R(0xE000EF50) = 0;
    for (u32 way = 0; way < 4; way++)
        for (u32 set = 0; set < 128; set++) R(0xE000EF60) = way << 30 | set << 5;
    R(0xE000ED14) |= 3 << 16;
}
"""
STREAM = """
u32 took, again, sum, ram[512];
static const u32 table[1024] = {1, 2, 3};
NOINLINE u32 total(const u32 *from, u32 count) {
    u32 sum = 0;
    for (u32 i = 0; i < count; i++) sum += from[i];
    return sum;
}
NOINLINE u32 timed(const u32 *from, u32 count) {
    u32 start = CYCCNT;
    sum += total(from, count);
    return CYCCNT - start;
}
"""
RUN = """
void run(void) {
    ACR = SETTING;
    PREPARE;
    count_cycles();
    took = timed(FROM, COUNT);
    again = timed(FROM, COUNT);
}
"""


def stream(build: Any, part: str, start: str = "table", count: int = 64, **extra: Any) -> Any:
    """The rig after two passes over `count` words."""
    setting = extra.pop("setting", SETUP[part])
    prepare = extra.pop("prepare", "caches_on()" if part == H7 else "")
    slices = extra.pop("slices", 1_000_000)
    code = (L1 + STREAM + RUN).replace("FROM", start).replace("COUNT", str(count))
    code = code.replace("ACR", FLASH[part]).replace("SETTING", str(setting))
    head = "__attribute__((unused)) static void caches_on(void);\n"
    rig = build(code.replace("PREPARE", prepare), part, head=head, **extra)
    return rig.run(slices)


@pytest.mark.parametrize("part", [M4, L4, F7, H7])
def test_cycles_are_those_of_python_and_of_odd_slices(build, part) -> None:
    rigs = [
        stream(build, part, count=600),
        stream(build, part, count=600, native=False),
        stream(build, part, count=600, slices=7),
    ]
    seen = [
        (r.machine.cycles, r.word("took"), r.word("again"), r.machine.memory.stalls) for r in rigs
    ]
    assert seen[0] == seen[1] == seen[2]
    assert seen[0][3].code_cycles > 0
    assert seen[0][3].data_cycles > 0


def test_accelerator_keeps_eight_rows_of_data(build) -> None:
    """64 words are 16 rows of 16 bytes: each pass fetches them again; 32 words stay."""
    small, large = stream(build, M4, count=24), stream(build, M4, count=64)
    assert small.word("took") - small.word("again") >= 6 * 3
    assert large.word("took") - large.word("again") < 6 * 3
    off = stream(build, M4, count=24, setting=0x303)  # DCEN 0
    assert off.word("again") - small.word("again") == 24 * 3


def test_without_wait_states_or_in_sram_nothing_waits(build) -> None:
    slow, fast = stream(build, M4), stream(build, M4, setting=0x700)
    sram = stream(build, M4, start="ram")
    assert fast.machine.memory.stalls.data_cycles == 0
    assert fast.word("again") == sram.word("again") < slow.word("again")


def test_prefetch_hides_what_runs_straight_on(build) -> None:
    with_prefetch, without = stream(build, L4), stream(build, L4, setting=0x603)
    cycles = [r.machine.memory.stalls.code_cycles for r in (with_prefetch, without)]
    assert 0 < cycles[0] < cycles[1]


def test_code_without_its_cache_waits_at_every_row(build) -> None:
    cached, uncached = stream(build, M4), stream(build, M4, setting=0x403)
    assert uncached.word("again") > cached.word("again") + 64


@pytest.mark.parametrize("start", ["table", "(u32 *)0x24000000"])
def test_data_cache_holds_a_line_until_it_is_dropped(build, start) -> None:
    kept = stream(build, H7, start)
    assert kept.word("took") > kept.word("again")
    dry = stream(build, H7, start, prepare="")
    assert dry.word("again") > kept.word("took")
    assert dry.machine.memory.stalls.uncached >= 64
    tight = stream(build, H7, "(u32 *)0x20000000")
    assert tight.word("again") < kept.word("took")


def test_cache_maintenance_empties_the_caches(build) -> None:
    everything = "for (u32 i = 0; i < 512; i++) R(0xE000EF74) = (i >> 7) << 30 | (i & 127) << 5"
    for drop in (everything, "for (u32 i = 0; i < 8; i++) R(0xE000EF70) = (u32)table + 32 * i"):
        code = f"u32 once;\n{L1}{STREAM}void run(void) {{ {FLASH[H7]} = 2; caches_on();"
        code += "count_cycles(); once = timed(table, 64); took = timed(table, 64);"
        rig = build(f"{code} {drop}; again = timed(table, 64); }}", H7).run()
        assert rig.word("again") >= rig.word("took") + 8 * 2


def test_region_that_is_not_cached_waits_every_time(build) -> None:
    region = "R(0xE000ED98) = 0; R(0xE000ED9C) = 0x24000000; R(0xE000EDA0) = 0x03080013 | 9 << 1;"
    region += "R(0xE000ED94) = 5; caches_on()"  # normal, not cached, 1 KiB
    plain, marked = stream(build, H7, "(u32 *)0x24000000"), None
    marked = stream(build, H7, "(u32 *)0x24000000", prepare=region)
    assert marked.word("again") > plain.word("took")
    beyond = stream(build, H7, "(u32 *)0x24000400", prepare=region)
    assert beyond.word("again") == plain.word("again")


def test_attributes_of_a_region_say_what_is_cached() -> None:
    kinds = {  # TEX, C, B: whether cached, whether stores allocate
        (0, 0, 0): (False, False),
        (0, 0, 1): (False, False),
        (0, 1, 0): (True, False),
        (0, 1, 1): (True, False),
        (1, 0, 0): (False, False),
        (1, 1, 1): (True, True),
        (4, 0, 0): (False, False),
        (4, 0, 1): (True, True),
    }
    for (tex, c, b), expected in kinds.items():
        rasr = tex << 19 | c << 17 | b << 16
        assert (cacheable(rasr), allocating(rasr)) == expected
        assert not cacheable(rasr | 1 << 18)  # shared


def test_slower_clock_of_the_bus_costs_the_core_more(build) -> None:
    """HCLK at a quarter of the core's clock: every fill takes four times as long."""
    quick = stream(build, H7)
    slow = stream(build, H7, prepare="R(0x58024418) = 9; caches_on()")
    lines = 64 * 4 // 32
    step = slow.word("took") - slow.word("again") - quick.word("took") + quick.word("again")
    assert step >= lines * 3 * 7


def test_reset_empties_caches_and_power_cycle_clears_counters(build) -> None:
    rig = stream(build, H7)
    took = rig.word("took")
    rig.machine.system_reset()
    assert rig.run().word("took") == took
    rig.machine.power_cycle()
    assert rig.machine.memory.stalls.code_cycles == 0


def test_tables_without_memory_never_wait(build) -> None:
    part = replace(load_part(M4), timing_model="m4-v1")
    assert "memory" not in load_model(part.timing_model).table


def facts(version: str) -> str:
    """A hash over a table and what the parts that use it say of their memory."""
    folder = Path("farm/virtual")
    table = yaml.safe_load((folder / "timing" / f"{version}.yaml").read_text())
    parts = {}
    for name in part_names():
        part = load_part(name)
        if part.timing_model == version:
            flash = (part.flash_row_bytes, part.flash_buses, repr(part.accelerator))
            parts[name] = [*flash, dict(part.caches), [repr(ram) for ram in part.rams]]
    text = json.dumps([table, parts], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@pytest.mark.parametrize(
    ("version", "known"), [("m4-v2", "e185bc2733b57190"), ("m7-v2", "6c4addde9335d104")]
)
def test_published_tables_do_not_change(version, known) -> None:
    """A search keeps results by the name of the table: other figures need another name."""
    assert facts(version) == known
