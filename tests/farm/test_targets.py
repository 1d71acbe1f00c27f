"""Parts that pyOCD does not know: each goes through rack, pyOCD, harness and clock checks once."""

from contextlib import nullcontext
from pathlib import Path

import pytest
from toy_model import INPUT, OUTPUT, toy

from farm import targets
from farm.bench import measure_on_board
from farm.errors import BenchError
from farm.image import build_image
from farm.mcus import load_mcu
from farm.probe import open_probe
from farm.rack.inventory import Board, BoardType, load_rack
from farm.runs import Trial
from farm.targets.algorithm import build_blob, flash_algorithm
from farm.virtual import rack

ROOT = Path(__file__).parents[2]
PARTS = {
    "nucleo-h743zi": "m7-v2",
    "nucleo-l4r5zi": "m4-v2",
    "stm32f746g-disco": "m7-v2",
}
FAMILIES = {"stm32f7": "cortex-m7", "stm32h7": "cortex-m7", "stm32l4r": "cortex-m4"}


@pytest.mark.parametrize("name", PARTS)
def test_a_network_is_flashed_checked_and_measured_on_the_part(name: str) -> None:
    kind = load_rack(ROOT / "boards.yaml").types[name]
    board = Board(f"{name}-t", kind, "virtual:TR-PART")
    mcu = load_mcu(kind.mcu)
    rack.ensure_up(board)
    try:
        image = build_image(toy(), mcu, name)
        m = measure_on_board(board, mcu, image, Trial(INPUT, OUTPUT, 3), 60.0)
    finally:
        rack.down([board.probe_uid])
    assert m.status == "ok"
    assert (m.clock_hz, m.timing_model) == (mcu.clock_hz, PARTS[name])
    assert m.provenance["clock_source"] == "external"
    assert 0 < m.cycles == max(m.samples)
    assert m.latency_ms == pytest.approx(m.cycles / mcu.clock_hz * 1e3)


@pytest.mark.parametrize(("target", "sound"), [("stm32h743xx", False), ("stm32h743zitx", True)])
def test_reading_back_finds_what_the_stock_algorithm_of_the_h743_loses(
    target: str, sound: bool
) -> None:
    """An image of two sectors is flashed over one that differs in the first of them alone."""
    kind = BoardType("nucleo-h743zi", "stm32h743zi", target)
    board = Board("h743-t", kind, "virtual:TR-H743")
    mcu = load_mcu(kind.mcu)
    images = [
        build_image(
            toy(weights=140_000, body=f"((volatile int8_t *)arena)[1] = {value};"), mcu, kind.name
        )
        for value in (1, 2)
    ]
    rack.ensure_up(board)
    try:
        with open_probe(board, mcu) as probe:
            for image in images:
                probe.flash(image)
                caught = pytest.raises(BenchError, match=r"flash at 0x0802.* holds 0xff")
                lost = image is images[1] and not sound
                with caught if lost else nullcontext():
                    probe.verify(image)
    finally:
        rack.down([board.probe_uid])


def test_every_target_of_our_own_is_known_to_pyocd_after_registering() -> None:
    targets.register()
    known = pytest.importorskip("pyocd.target").TARGET
    assert all(known[name].VENDOR == "STMicroelectronics" for name in targets.NAMES)
    used = {each.target for each in load_rack(ROOT / "boards.yaml").types.values()}
    assert used <= set(known)


@pytest.mark.parametrize("family", FAMILIES)
def test_an_algorithm_is_code_alone_and_fits_its_place(family: str) -> None:
    blob = build_blob(family, FAMILIES[family])
    assert len(blob.code) <= 0x400
    assert blob.code[:4] == b"\x00\xbe\x00\xbe"  # BKPT: where every function returns to
    assert len(set(blob.entries.values())) == 5
    assert all(4 <= offset < len(blob.code) for offset in blob.entries.values())
    made = flash_algorithm(family, FAMILIES[family], 0x20000000, 0x1000)
    ends = [0x20000000 + 4 * len(made["instructions"]), made["begin_stack"], *made["page_buffers"]]
    assert ends == sorted(ends)
