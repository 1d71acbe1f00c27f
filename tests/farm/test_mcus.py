import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from farm.errors import InventoryError
from farm.mcus import load_mcu

FOLDER = Path(__file__).parents[2] / "farm" / "mcus"
LPUART_DIVISORS = (0x4000_800C,)
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))


def content(name: str = "stm32f412zg") -> dict[str, Any]:
    return yaml.safe_load((FOLDER / f"{name}.yaml").read_text())


def refused(tmp_path: Path, data: object) -> str:
    folder = tmp_path / str(len(list(tmp_path.iterdir())))
    folder.mkdir()
    (folder / "stm32f412zg.yaml").write_text(yaml.safe_dump(data))
    with pytest.raises(InventoryError) as caught:
        load_mcu("stm32f412zg", folder)
    assert str(folder) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", NAMES)
def test_every_data_file_loads_and_its_numbers_agree(name: str) -> None:
    mcu = load_mcu(name)
    assert mcu.name == name
    assert mcu.ram.bytes <= sum(ram.bytes for ram in mcu.rams)
    scale = 256 if mcu.uart.divisor in LPUART_DIVISORS else 1
    kernel_hz = mcu.uart.divisor_at_clock * mcu.uart.baud
    assert mcu.clock_hz * scale % kernel_hz == 0, "the console's rate must be exact at full speed"
    assert mcu.uart.divisor_at_reset_clock * mcu.uart.baud == mcu.reset_clock_hz * scale


@pytest.mark.parametrize(
    ("name", "external_hz"),
    [("stm32f412zg", 8_000_000), ("stm32f746ng", 25_000_000), ("stm32f767zi", 8_000_000)],
)
def test_pll_settings_of_f4_and_f7_give_the_stated_clock_from_either_source(
    name: str, external_hz: int
) -> None:
    mcu = load_mcu(name)
    for steps, source_hz in (
        (mcu.clock.pll_external, external_hz),
        (mcu.clock.pll_internal, mcu.reset_clock_hz),
    ):
        pll = steps[-1].value
        m, n, p = pll & 63, pll >> 6 & 511, 2 * ((pll >> 16 & 3) + 1)
        assert source_hz // m * n // p == mcu.clock_hz
        assert 950_000 <= source_hz // m <= 2_100_000
        check = next(check for check in mcu.checks if check.name == "RCC_PLLCFGR")
        assert pll & check.mask == check.value


def test_the_contiguous_ram_of_the_f767_is_all_of_it() -> None:
    ram = load_mcu("stm32f767zi").ram
    assert (ram.base, ram.bytes) == (0x2000_0000, 512 * 1024)


@pytest.mark.parametrize("name", ["", "nothing", "../mcus/stm32f412zg", "stm32f412zg.yaml", "A"])
def test_unknown_names_are_refused_with_those_known(name: str) -> None:
    with pytest.raises(InventoryError, match=r"stm32f412zg, .*stm32f767zi"):
        load_mcu(name)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (["clock_hz"], "fast", "clock_hz"),
        (["clock_hz"], True, "clock_hz"),
        (["core"], "cortex-m0", "cortex-m4, cortex-m7"),
        (["stack_bytes"], 1001, "multiple of 8"),
        (["stack_bytes"], 1 << 18, "less than the RAM"),
        (["flash", "bytes"], -1, "flash.bytes"),
        (["flash", "base"], 3, "steps of 1024"),
        (["flash"], [], "flash must be a mapping"),
        (["data_rams"], ["sram9"], "sram1"),
        (["data_rams"], [["sram1"]], "data_rams"),
        (["registers", "RCC_CR"], 0x40023801, "RCC_CR"),
        (["clock", "run", 0, "do"], "toggle", "modify, write, poll"),
        (["clock", "run", 0, "register"], "RCC_XX", r"clock\.run\[0\]\.register"),
        (["clock", "run", 0, "value"], 3 << 24, "outside the mask"),
        (["clock", "run"], [{}] * 33, "at most 32"),
        (["uart", "status"], "RCC", "uart.status"),
        (["checks"], [{}] * 9, "at most 8"),
    ],
)
def test_a_wrong_value_is_refused_with_its_key(
    tmp_path: Path, path: list[Any], value: object, said: str
) -> None:
    data = content()
    at = data
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    message = refused(tmp_path, data)
    assert said.replace("\\", "") in message


def test_missing_and_unknown_keys_are_refused_everywhere(tmp_path: Path) -> None:
    for key in content():
        data = content()
        del data[key]
        assert key in refused(tmp_path, data)
    for inner in (None, "flash", "clock", "uart"):
        data = copy.deepcopy(content())
        (data[inner] if inner else data)["colour"] = "red"
        assert "colour" in refused(tmp_path, data)


def test_what_is_not_yaml_is_refused(tmp_path: Path) -> None:
    for text in (b"\xff\xfe", b"a: [", b"!!python/object/apply:os.system ['true']", b"x" * 70_000):
        (tmp_path / "stm32f412zg.yaml").write_bytes(text)
        with pytest.raises(InventoryError):
            load_mcu("stm32f412zg", tmp_path)


@settings(max_examples=25)  # few kinds of wrong values exist
@given(st.recursive(st.none() | st.integers() | st.text(max_size=5), st.lists, max_leaves=5))
def test_no_value_in_place_of_the_clock_recipe_is_taken(
    tmp_path_factory: pytest.TempPathFactory, value: object
) -> None:
    data = content() | {"clock": value}
    refused(tmp_path_factory.mktemp("mcu"), data)
