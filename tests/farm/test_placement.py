"""What is hot lies in the fastest memory that has room for it, and runs from there."""

import io
from dataclasses import replace

import pytest
from elftools.elf.elffile import ELFFile
from toy_model import toy

from engine.benchmarks import kernel_suite
from engine.emit import emit
from engine.reference import run
from farm.benchmark.counting import count_instructions
from farm.errors import ImageError
from farm.image import Image, build_image
from farm.mcus import Memory, load_mcu
from farm.model_file import input_bytes, load_input

DTCM, AXI = 0x2000_0000, 0x2400_0000
DENSE = next(graph for graph in kernel_suite() if graph.name == "fully connected 140-64")


def addresses(image: Image) -> dict[str, int]:
    elf = ELFFile(io.BytesIO(image.elf))
    return {section.name: int(section["sh_addr"]) for section in elf.iter_sections()}


@pytest.mark.parametrize("name", ["stm32f746ng", "stm32f767zi", "stm32h743zi"])
def test_a_cortex_m7_has_stack_and_arena_in_its_dtcm(name: str) -> None:
    at = addresses(build_image(toy(), load_mcu(name), "board"))
    assert all(DTCM <= at[section] < DTCM + 0x10000 for section in (".stack", ".bss", ".bench"))


def test_an_arena_too_large_for_the_dtcm_lies_in_the_large_ram_and_the_stack_stays() -> None:
    mcu = load_mcu("stm32h743zi")
    assert mcu.fast_ram
    at = addresses(build_image(toy(arena=mcu.fast_ram.bytes), mcu, "board"))
    assert at[".stack"] == DTCM
    assert at[".data"] == AXI
    assert at[".bss"] >= AXI
    with pytest.raises(ImageError, match="more than the 524288 there are"):
        build_image(toy(arena=mcu.ram.bytes), mcu, "board")


def test_kernels_run_from_ram_for_code_and_count_as_flash_and_ram() -> None:
    model, mcu = emit(DENSE), load_mcu("stm32f767zi")
    itcm = next(memory for memory in mcu.rams if memory.name == "itcm")
    plain = build_image(model, mcu, "board")
    hot = build_image(model, replace(mcu, code_ram=itcm), "board")
    size = hot.sections[".hot_code"]
    assert addresses(hot)[".hot_code"] == itcm.base
    assert 0 < size <= itcm.bytes
    assert hot.static_ram_bytes == plain.static_ram_bytes + size
    assert 0 <= hot.flash_bytes - plain.flash_bytes < 100, "veneers alone"
    x = load_input(DENSE, None, 0)
    for image in (plain, hot):
        counts = count_instructions(image, input_bytes(DENSE, x))
        assert counts.output == run(DENSE, x).tobytes()


def test_kernels_too_large_for_ram_for_code_stay_in_flash() -> None:
    mcu = replace(load_mcu("stm32f767zi"), code_ram=Memory("tiny", 0, 256))
    assert build_image(emit(DENSE), mcu, "board").sections[".hot_code"] == 0
