"""Instructions are counted to the instruction, layer by layer; flash is split by symbols."""

import pytest
from toy_model import INPUT, OUTPUT, toy

from farm.benchmark.counting import count_instructions
from farm.benchmark.flash_split import flash_split
from farm.image import build_image
from farm.mcus import load_mcu


def counted(mcu, loops):
    body = f'__asm__ volatile("mov r3, {loops}; 1: subs r3, 1; bne 1b" ::: "r3", "cc");'
    return build_image(toy(body=body), load_mcu(mcu), "toy-board")


@pytest.mark.parametrize("mcu", ["stm32f412zg", "stm32f767zi"])
def test_a_loop_of_so_many_more_turns_has_so_many_more_instructions(mcu) -> None:
    few, many = (count_instructions(counted(mcu, loops), INPUT) for loops in (10, 110))
    assert many.inference - few.inference == 2 * 100
    assert many.layers[0] - few.layers[0] == 2 * 100
    assert many.layers[1] == few.layers[1]
    assert few.output == OUTPUT
    assert sum(few.layers) == pytest.approx(few.inference, abs=30)


def test_what_is_the_networks_own_and_what_the_harness_is() -> None:
    small, large = (toy(weights=size) for size in (256, 512))
    splits = []
    for model in (small, large):
        image = build_image(model, load_mcu("stm32f412zg"), "toy-board")
        split = flash_split(image, model.files)
        assert split.code_bytes + split.constant_bytes + split.harness_bytes == image.flash_bytes
        splits.append(split)
    assert splits[1].constant_bytes - splits[0].constant_bytes == 256
    assert splits[1].code_bytes == splits[0].code_bytes > 50
    assert splits[1].harness_bytes == pytest.approx(splits[0].harness_bytes, abs=16)
