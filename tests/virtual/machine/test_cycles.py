"""The cycle tables: hand-computed sequences, edges that add up, tables that know their core."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farm.virtual.decode import Block, decode_block
from farm.virtual.hook import NEVER, Edge, EdgeHook
from farm.virtual.native import build_native, load_native
from farm.virtual.pricing import Pricer, load_model

M4, M7 = load_model("m4-v1"), load_model("m7-v1")
NOP, LDR_R1_R0, LDR_R2_R0_4, LDR_R0_R1 = 0xBF00, 0x6801, 0x6842, 0x6808
STR_R1_R0, ADD_R2_R1_R1, PUSH_R4_LR, POP_R4_PC = 0x6001, 0x184A, 0xB510, 0xBD10
SMLAD_R0, SMLAD_R4 = (0xFB21, 0x0002), (0xFB21, 0x4402)  # both read r1, r2
SDIV, BX_LR, BNE_BACK, BNE_FORWARD, IT_EQ = (0xFB91, 0xF0F2), 0x4770, 0xD1FC, 0xD104, 0xBF08
VADD, VFMA, VDIV = (0xEE30, 0x0A01), (0xEEA0, 0x0A81), (0xEE80, 0x0A81)  # s0, s0 or s1, s2


def block(*code: int | tuple[int, int], at: int = 0x08000000) -> Block:
    halfwords = [h for item in code for h in (item if isinstance(item, tuple) else (item,))]
    raw = struct.pack(f"<{len(halfwords)}H", *halfwords)
    return decode_block(at, len(raw), lambda address, size: raw[address - at :][:size])


@pytest.mark.parametrize(
    ("code", "cycles"),
    [
        ([NOP, NOP, NOP], 3),
        ([LDR_R1_R0], 2),
        ([LDR_R1_R0, LDR_R2_R0_4], 3),  # pipelined
        ([LDR_R1_R0, LDR_R0_R1], 4),  # the address comes from the load before
        ([STR_R1_R0, STR_R1_R0], 2),
        ([PUSH_R4_LR], 3),
        ([POP_R4_PC], 4),
        ([SMLAD_R0, SMLAD_R4], 2),
        ([SDIV], 7),
        ([BX_LR], 2),
        ([NOP, IT_EQ, NOP], 2),
        ([SMLAD_R0, IT_EQ, NOP], 3),
        ([VADD, VADD], 3),  # depends on itself
        ([VFMA], 3),
        ([VDIV], 14),
    ],
)
def test_m4_sequence_costs_what_the_manual_says(code, cycles) -> None:
    assert M4.cost(None, block(*code)) == cycles


def test_m4_taken_branch_refills_and_a_split_target_refills_longer() -> None:
    loop = block(NOP, NOP, BNE_BACK)
    assert M4.cost(loop, loop) == 3 + 1
    assert M4.cost(loop, block(NOP, at=loop.end)) == 1
    assert M4.cost(loop, block(SMLAD_R0, at=0x08000102)) == 1 + 2
    assert M4.cost(loop, block(SMLAD_R0, at=0x08000104)) == 1 + 1


@pytest.mark.parametrize(
    ("code", "cycles"),
    [
        ([NOP, NOP, NOP, NOP], 2),  # two to a cycle
        ([0x1849, 0x1849, 0x1849], 3),  # r1 += r1: one after the other
        ([LDR_R1_R0, LDR_R2_R0_4], 1),  # two loads at once
        ([STR_R1_R0, STR_R1_R0], 2),  # one store a cycle
        ([LDR_R1_R0, ADD_R2_R1_R1], 2),
        ([LDR_R1_R0, LDR_R0_R1], 3),  # the address is needed a cycle early
        ([SMLAD_R0, SMLAD_R4], 2),  # one multiplier
        ([SMLAD_R0, NOP, SMLAD_R4, NOP], 2),
        ([SDIV, NOP], 8),
        ([0x0049, 0x0092], 2),  # one shifter
        ([VADD, VADD], 4),
    ],
)
def test_m7_schedule_pairs_what_the_table_lets_it(code, cycles) -> None:
    assert M7.cost(None, block(*code)) == cycles


def test_m7_mispredicts_loop_exits_forward_jumps_and_returns() -> None:
    loop, ahead = block(NOP, NOP, BNE_BACK), block(NOP, NOP, BNE_FORWARD)
    after = block(NOP, at=loop.end)
    assert M7.cost(ahead, after) == 0  # paired with the branch, as predicted
    assert M7.cost(loop, after) == 1 + 7
    assert M7.cost(ahead, block(NOP, at=0x08000100)) == 1 + 3
    assert M7.cost(block(BX_LR), block(NOP, at=0x08000100)) == 1 + 7
    assert M7.cost(loop, loop) == 2


ITEMS = st.sampled_from(
    [NOP, LDR_R1_R0, LDR_R2_R0_4, LDR_R0_R1, STR_R1_R0, ADD_R2_R1_R1, SMLAD_R0, SDIV, VADD, VFMA]
)


@given(st.lists(ITEMS, min_size=1, max_size=12), st.data())
@settings(max_examples=60, deadline=None)
def test_cutting_a_run_in_two_edges_keeps_its_cycles(items, data) -> None:
    cut = data.draw(st.integers(0, len(items)))
    whole, head = block(*items), block(*items[:cut])
    tail = block(*items[cut:], at=head.end)
    for model in (M4, M7):
        assert model.cost(None, head) + model.cost(head, tail) == model.cost(None, whole)


@given(st.lists(ITEMS, min_size=1, max_size=12))
@settings(max_examples=40, deadline=None)
def test_part_of_a_block_never_costs_more_than_all_of_it(items) -> None:
    run = block(*items)
    for model in (M4, M7):
        costs = [model.cost(None, run, count) for count in range(len(run.instrs) + 1)]
        assert costs == sorted(costs)
        assert costs[-1] == model.cost(None, run)


def test_predicated_instructions_are_marked_as_far_as_the_it_block_reaches() -> None:
    marked = block(0xBF06, NOP, NOP, NOP, NOP)  # ITTE EQ
    assert [i.conditional for i in marked.instrs] == [False, True, True, True, False]


def test_tables_name_version_core_and_their_distance_from_silicon() -> None:
    for model, version, core in ((M4, "m4-v1", "cortex-m4"), (M7, "m7-v1", "cortex-m7")):
        assert model.table["version"] == version
        assert model.table["core"] == core
        assert model.table["calibrated_on_silicon"] is False


def test_native_hook_is_built_once_into_the_cache() -> None:
    first = build_native()
    assert first is not None
    assert first.name.startswith("native-")
    changed = first.stat().st_mtime_ns
    assert build_native() == first
    assert first.stat().st_mtime_ns == changed


def test_damaged_native_hook_is_built_anew_and_no_place_for_one_means_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = build_native()
    assert whole is not None
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    damaged = tmp_path / "tinyrack" / "native" / whole.name
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(whole.read_bytes()[:100])
    assert load_native() is not None
    assert damaged.stat().st_size == whole.stat().st_size
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert load_native() is None


class _FakeCore:
    """Takes the hook and calls nothing: the test calls it."""

    def __init__(self) -> None:
        self.stops = 0

    def hook_add(self, _kind: int, function: object) -> None:
        self.function = function

    def emu_stop(self) -> None:
        self.stops += 1


def costs_five(edge: Edge) -> bool:
    edge.cost, edge.instructions = 5, 2
    return True


def test_python_hook_stops_before_it_counts() -> None:
    core = _FakeCore()
    hook = EdgeHook(core, costs_five, lambda _: None, native=False)
    hook.counters.fuel = 3
    core.function(core, 0x100, 4, None)
    core.function(core, 0x104, 4, None)
    assert (hook.counters.cycles, hook.counters.blocks, core.stops) == (10, 2, 0)
    assert hook.counters.instructions == 4
    core.function(core, 0x108, 4, None)
    assert (hook.counters.cycles, hook.counters.stopped, core.stops) == (10, 1, 1)
    assert hook.counters.prev == 0x104 | 4 << 32
    assert hook.counters.event == NEVER


def test_pricer_forgets_code_that_changed() -> None:
    memory = bytearray(struct.pack("<4H", NOP, NOP, NOP, NOP))
    pricer = Pricer(M4, lambda address, size: bytes(memory[address : address + size]))
    assert pricer.price(0, 0 | 8 << 32) == 4
    assert pricer.holds(0, 4)
    assert not pricer.holds(0x400, 4)
    memory[:4] = struct.pack("<2H", *SDIV)
    pricer.forget()
    assert pricer.price(0, 0 | 8 << 32) == 7 + 2
