from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from toy_model import toy

from farm.errors import BenchError, ImageError, InventoryError, ProbeBusyError
from farm.image import build_image, load_segments
from farm.mcus import load_mcu
from farm.probe import open_probe
from farm.rack.inventory import Board, BoardType
from farm.virtual import rack

BOARD = Board(
    "probed", BoardType("nucleo-f412zg", "stm32f412zg", "stm32f412xg"), "virtual:TR-PROBED"
)
MCU = load_mcu("stm32f412zg")


@pytest.fixture(scope="module")
def folders(
    tmp_path_factory: pytest.TempPathFactory, shared_cache: Path
) -> Iterator[dict[str, str]]:
    """State of this file, with one board up in them."""
    state = tmp_path_factory.mktemp("state")
    made = {"XDG_STATE_HOME": str(state), "XDG_CACHE_HOME": str(shared_cache)}
    with pytest.MonkeyPatch.context() as patch:
        for name, folder in made.items():
            patch.setenv(name, folder)
        rack.ensure_up(BOARD)
        yield made
        rack.down([BOARD.probe_uid])


@pytest.fixture(autouse=True)
def own_folders(folders: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, folder in folders.items():
        monkeypatch.setenv(name, folder)


def test_what_was_flashed_reads_back_and_nothing_else_passes_for_it() -> None:
    image = build_image(toy(), MCU, BOARD.type.name)
    other = build_image(toy(body="((volatile int8_t *)arena)[1] = 5;"), MCU, BOARD.type.name)
    with open_probe(BOARD, MCU) as probe:
        probe.flash(image)
        probe.verify(image)
        with pytest.raises(BenchError, match=r"probed.*flash at 0x080.* after flashing toy"):
            probe.verify(other)
        probe.flash(other)
        probe.verify(other)
        for address, data in load_segments(other.elf):
            assert probe.read(address, len(data)) == data


def test_the_core_stops_at_its_reset_vector_and_memory_can_be_read() -> None:
    image = build_image(toy(), MCU, BOARD.type.name)
    with open_probe(BOARD, MCU) as probe:
        probe.flash(image)
        probe.reset_and_halt()
        first = probe.read(MCU.flash.base, 8)
        assert first == image.segments()[0][1][:8]
        with pytest.raises(BenchError, match="reading 4 bytes at 0x60000000"):
            probe.read(0x6000_0000, 4)
        assert probe.read(MCU.ram.base, 3)  # goes on after the fault


def test_the_working_folder_stays_and_no_file_of_pyocd_s_in_it_or_above_has_an_effect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "project"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("PYOCD_PROJECT_DIR", str(tmp_path))
    for folder in (here, tmp_path):
        (folder / "pyocd_user.py").write_text(f"open({str(tmp_path / 'was-run')!r}, 'w')")
        for name in ("pyocd.yaml", "pyocd.yml"):
            text = "target_override: k64f\nconnect_mode: attach\nuser_script: pyocd_user.py\n"
            (folder / name).write_text(f"{text}probes: {{TR-PROBED: {{frequency: 1000}}}}\n")
    with open_probe(BOARD, MCU) as probe:
        assert Path.cwd() == here
        assert probe.read(MCU.flash.base, 4)
        options = probe._session.options
        assert [options.get(key) for key in ("target_override", "connect_mode", "frequency")] == [
            BOARD.type.target,
            BOARD.connect_mode,
            BOARD.swd_hz,
        ]
    assert not (tmp_path / "was-run").exists()


def test_a_probe_in_use_is_refused_and_free_again_afterwards() -> None:
    with (
        open_probe(BOARD, MCU),
        pytest.raises(ProbeBusyError, match="probed: connecting failed"),
        open_probe(BOARD, MCU),
    ):
        pass
    with open_probe(BOARD, MCU) as probe:
        assert probe.read(MCU.flash.base, 4)


@pytest.mark.parametrize("probe", ["virtual:TR-PROB", "virtual:TR-PROBED-2", "virtual:ABSENT"])
def test_an_absent_probe_is_refused_at_once_not_waited_for_nor_replaced(probe: str) -> None:
    absent = replace(BOARD, id="absent", probe=probe)
    with pytest.raises(BenchError, match=r"absent: no probe .*rack up"), open_probe(absent, MCU):
        pass


def test_a_chip_of_another_kind_and_a_target_of_nobody_are_the_inventory_s_faults() -> None:
    other = replace(MCU, device_id=0x999)
    with pytest.raises(InventoryError, match="has the device id 0x441"), open_probe(BOARD, other):
        pass
    unknown = replace(BOARD, type=replace(BOARD.type, target="stm32f412xgg"))
    with pytest.raises(InventoryError, match="does not know the target"), open_probe(unknown, MCU):
        pass


def test_bytes_outside_the_flash_are_never_programmed() -> None:
    image = build_image(toy(), load_mcu("stm32f767zi"), "nucleo-f767zi")
    small = replace(MCU, flash=replace(MCU.flash, bytes=1024))
    with open_probe(BOARD, small) as probe, pytest.raises(ImageError, match="outside the flash"):
        probe.flash(image)
