"""What the tables say, class by class; those that stored results depend on never change."""

from __future__ import annotations

import pytest

from farm.virtual.decode import Block
from farm.virtual.pricing import load_model
from tests.virtual.machine.test_cycles import (
    ADD_R2_R1_R1,
    BNE_BACK,
    BNE_FORWARD,
    BX_LR,
    LDR_R0_R1,
    LDR_R1_R0,
    LDR_R2_R0_4,
    NOP,
    POP_R4_PC,
    PUSH_R4_LR,
    SDIV,
    SMLAD_R0,
    SMLAD_R4,
    STR_R1_R0,
    VADD,
    VDIV,
    VFMA,
    block,
)

M4, M7 = load_model("m4-v2"), load_model("m7-v2")
ADD_R0_4, LDR_R2_R0_8, LDRB_R1_R0, STR_R0_R1 = 0x3004, 0x6882, 0x7801, 0x6008
LSL_R1, LSL_R2, ADD_R3_R0_R1_LSL_1, STRD = 0x0049, 0x0092, (0xEB00, 0x0341), (0xE9C0, 0x1200)
SMLAD_R1 = (0xFB21, 0x1302)  # r3 = r1 * r2 + r1
UXTB_R4, UXTB_R5, CLZ_R3_R1 = 0xB2CC, 0xB2CD, (0xFAB1, 0xF381)
SUB_R3_1, VADD_D, VMUL = 0x3B01, (0xEE31, 0x1B01), (0xEE20, 0x0A81)
VLDR, VSTR = (0xED90, 0x0A00), (0xED80, 0x0A00)
SAMPLE = (
    *(NOP, ADD_R0_4, ADD_R2_R1_R1, LDR_R1_R0, LDR_R2_R0_4, LDR_R0_R1, LDRB_R1_R0, STR_R1_R0),
    *(STR_R0_R1, STRD, PUSH_R4_LR, LSL_R1, ADD_R3_R0_R1_LSL_1, SMLAD_R0, SMLAD_R1, SDIV),
    *(UXTB_R4, CLZ_R3_R1, VADD, VFMA, VDIV, VLDR, VSTR, BNE_BACK, BNE_FORWARD, BX_LR, POP_R4_PC),
)
M4_V1 = [275, 275, 275, 290, 286, 298, 290, 275, 275, 329, 329, 275, 275, 275, 275, 437, 275, 275,
         283, 337, 634, 302, 302, 340, 340, 405, 459]  # fmt: skip
M7_V1 = [75, 135, 83, 115, 83, 135, 163, 87, 87, 159, 159, 115, 83, 183, 83, 349, 75, 83, 111, 147,
         267, 83, 87, 411, 204, 708, 726]  # fmt: skip


def sums(model) -> list[int]:
    """For each instruction of the sample the cycles of it before each of the sample."""
    return [sum(model.cost(None, block(a, b)) + edge(model, a, b) for b in SAMPLE) for a in SAMPLE]


def edge(model, first, second) -> int:
    """The cycles of the second behind the first, from near and from afar."""
    before = block(first)
    behind = [block(second, at=at) for at in (before.end, 0x08000102, before.address)]
    return sum(model.cost(before, b) for b in behind)


@pytest.mark.parametrize(("version", "cycles"), [("m4-v1", M4_V1), ("m7-v1", M7_V1)])
def test_first_tables_keep_their_cycles(version, cycles) -> None:
    assert sums(load_model(version)) == cycles


@pytest.mark.parametrize(
    ("code", "cycles"),
    [
        ([ADD_R0_4, LDR_R1_R0], 1 + 2 + 1),  # the address was made just before
        ([ADD_R0_4, NOP, LDR_R1_R0], 1 + 1 + 2),
        ([ADD_R0_4, STR_R0_R1], 2),  # the data may be
        ([LDR_R1_R0, LDR_R0_R1], 4),
        ([ADD_R0_4, STRD], 1 + 3 + 1),
        ([SDIV], 1),  # and by its operands what divisions.py adds
        ([VADD, VADD], 3),
        ([VDIV], 14),
    ],
)
def test_m4_sequence_costs_what_its_sources_say(code, cycles) -> None:
    assert M4.cost(None, block(*code)) == cycles


@pytest.mark.parametrize(
    ("code", "cycles"),
    [
        ([ADD_R2_R1_R1, SUB_R3_1], 1),
        ([ADD_R0_4, ADD_R0_4], 1),  # early and late ALU
        ([ADD_R0_4] * 3, 2),
        ([NOP, ADD_R0_4, ADD_R0_4], 2),  # the younger one waits for the late ALU
        ([ADD_R0_4, LDR_R1_R0], 2),  # from the early ALU into the address
        ([LSL_R1, LSL_R2], 1),
        ([ADD_R3_R0_R1_LSL_1, ADD_R3_R0_R1_LSL_1], 2),
        ([LSL_R1, ADD_R3_R0_R1_LSL_1], 2),  # a shifted operand is needed early
        ([LDR_R1_R0, LDR_R2_R0_4], 1),
        ([LDR_R1_R0, LDR_R2_R0_8], 2),  # one bank
        ([LDR_R1_R0, ADD_R2_R1_R1], 2),
        ([LDR_R1_R0, SMLAD_R0], 3),  # a loaded factor
        ([LDRB_R1_R0, ADD_R2_R1_R1], 3),
        ([SMLAD_R0, SMLAD_R4], 2),
        ([SMLAD_R4, STR_R1_R0], 2),
        ([LDR_R1_R0, STR_R1_R0], 1),  # what was loaded is stored in the same cycle
        ([UXTB_R4, UXTB_R5], 2),
        ([NOP, UXTB_R4], 2),  # the older slot only
        ([STRD, NOP], 2),
        ([SDIV, NOP], 2),
        ([VADD, VADD], 4),
        ([VFMA, VFMA], 4),
        ([VDIV, NOP, NOP], 17),
        ([VADD_D, NOP, NOP], 3),
        ([VMUL, VSTR], 2),
        ([VLDR, VADD], 2),
    ],
)
def test_m7_schedule_pairs_what_its_sources_say(code, cycles) -> None:
    assert M7.cost(None, block(*code)) == cycles


def test_m7_loop_exit_costs_less_when_the_flags_were_early() -> None:
    late = block(NOP, NOP, NOP, NOP, SUB_R3_1, BNE_BACK)
    early = block(SUB_R3_1, *[NOP] * 7, BNE_BACK)
    assert exit_of(late) - exit_of(early) == 8 - 6


def exit_of(loop: Block) -> int:
    return M7.cost(loop, block(NOP, at=loop.end))


def test_second_tables_say_their_version_and_that_nothing_was_fitted() -> None:
    for model, version in ((M4, "m4-v2"), (M7, "m7-v2")):
        assert model.table["version"] == version
        assert model.table["calibrated_on_silicon"] is False
