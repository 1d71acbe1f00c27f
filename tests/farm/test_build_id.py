"""The build-id of an ELF file, and the linker script that it was made by."""

import pytest
from toy_model import toy

from farm.elf_file import load_elf
from farm.image import build_image
from farm.mcus import load_mcu

NOTE = bytes.fromhex("040000001400000003000000") + b"GNU\0"  # 20 bytes of SHA-1 follow


@pytest.fixture
def image(shared_cache, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(shared_cache))
    return build_image(toy(), load_mcu("stm32f412zg"), "nucleo-f412zg")


def test_an_image_has_a_build_id_that_takes_no_flash(image, tmp_path):
    path = tmp_path / "net.elf"
    path.write_bytes(image.elf)
    assert len(bytes.fromhex(image.build_id)) == 20
    assert load_elf(path).build_id == image.build_id
    assert not any(NOTE in data for _, data in image.segments())


@pytest.mark.parametrize("at", [0, 4, 8, 12])
def test_a_note_that_is_none_of_gnu_gives_no_id(image, tmp_path, at):
    start = image.elf.index(NOTE) + at
    path = tmp_path / "odd.elf"
    path.write_bytes(image.elf[:start] + b"\xee" * 4 + image.elf[start + 4 :])
    assert load_elf(path).build_id == ""


def test_the_linker_script_is_told_by_the_layout_that_it_made(image):
    """On a part with fast RAM for what is small, at the address where the other has its only."""
    mcu = load_mcu("stm32h743zi")
    small, large = (build_image(toy(arena=n), mcu, "nucleo-h743zi2") for n in (304, 200_000))
    assert small.linker_script_sha256 == image.linker_script_sha256
    assert large.linker_script_sha256 != image.linker_script_sha256
    assert small.build_id != large.build_id
