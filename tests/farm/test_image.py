import hashlib
import io
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import platformdirs
import pytest
from elftools.elf.elffile import ELFFile
from hypothesis import given
from hypothesis import strategies as st
from toy_model import toy

import farm.image
from engine.benchmarks import kernel_suite
from engine.emit import emit
from engine.toolchain import compile_object
from farm.board_header import board_header
from farm.errors import ImageError
from farm.image import build_image, image_key, load_segments
from farm.mcus import load_mcu

BOARDS = {"stm32f412zg": "nucleo-f412zg", "stm32f767zi": "nucleo-f767zi"}


@pytest.fixture
def image_cache() -> Path:
    """Where finished images are."""
    return platformdirs.user_cache_path("tinyrack") / "objects"


@pytest.mark.parametrize("name", BOARDS)
def test_an_image_states_what_the_linker_made_of_it(name: str) -> None:
    mcu = load_mcu(name)
    image = build_image(toy(), mcu, BOARDS[name])
    segments = image.segments()
    assert segments[0][0] == mcu.flash.base
    assert image.flash_bytes == max(at + len(data) for at, data in segments) - mcu.flash.base
    assert image.sections[".stack"] == image.stack_bytes == mcu.stack_bytes
    assert image.static_ram_bytes == image.sections[".data"] + image.sections[".bss"]
    harness_bytes = image.static_ram_bytes - 304
    assert 0 < harness_bytes < 400, "the harness must leave the RAM to the network"
    assert image.bench_ram_bytes == image.sections[".bench"] == 304 + 24
    assert image.flash_bytes < 9_000, "the harness must leave the flash to the network"
    assert (image.macs, image.arena_bytes, image.mcu) == (40, 304, name)


@pytest.mark.parametrize("name", BOARDS)
def test_the_bench_s_copies_lie_behind_the_network_and_are_not_flashed(name: str) -> None:
    image = build_image(toy(), load_mcu(name), BOARDS[name])
    elf = ELFFile(io.BytesIO(image.elf))
    bench, bss = (elf.get_section_by_name(section) for section in (".bench", ".bss"))
    assert bench["sh_type"] == "SHT_NOBITS"
    assert bench["sh_addr"] >= bss["sh_addr"] + bss["sh_size"]
    assert all(at < bench["sh_addr"] for at, _ in image.segments())


@pytest.mark.parametrize("name", BOARDS)
def test_vectors_lead_to_the_reset_handler_and_the_stack_is_at_the_bottom(name: str) -> None:
    mcu = load_mcu(name)
    elf = ELFFile(io.BytesIO(build_image(toy(), mcu, BOARDS[name]).elf))
    table = elf.get_section_by_name(".vectors").data()
    words = [int.from_bytes(table[at : at + 4], "little") for at in range(0, 64, 4)]
    assert words[0] == mcu.ram.base + mcu.stack_bytes
    symbols = {s.name: s["st_value"] for s in elf.get_section_by_name(".symtab").iter_symbols()}
    assert words[1] == symbols["Reset_Handler"] == elf["e_entry"]
    assert words[1] & 1
    assert words[3] == symbols["fault_handler"]
    assert symbols["stack_limit"] == mcu.ram.base


def test_the_identity_is_the_hash_of_everything_else() -> None:
    image = build_image(toy(), load_mcu("stm32f412zg"), "nucleo-f412zg")
    section = ELFFile(io.BytesIO(image.elf)).get_section_by_name(".image_id")
    assert section.data().hex() == image.image_sha256
    start = section["sh_offset"]
    blank = image.elf[:start] + bytes(32) + image.elf[start + 32 :]
    loadable = b"".join(data for _, data in load_segments(blank))
    assert hashlib.sha256(loadable).hexdigest() == image.image_sha256


def test_the_same_inputs_give_the_same_image_anywhere(tmp_path: Path) -> None:
    here = build_image(toy(), load_mcu("stm32f412zg"), "nucleo-f412zg")
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from test_image import *\n"
        "image = build_image(toy(), load_mcu('stm32f412zg'), 'nucleo-f412zg')\n"
        "print(image.image_sha256, image.image_key, hashlib.sha256(image.elf).hexdigest())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(Path(__file__).parent)],
        cwd=tmp_path,
        env={"XDG_CACHE_HOME": str(tmp_path / "elsewhere"), "PATH": ""},
        capture_output=True,
        check=True,
        text=True,
    )
    elf_sha256 = hashlib.sha256(here.elf).hexdigest()
    assert done.stdout.split() == [here.image_sha256, here.image_key, elf_sha256]


def test_every_input_of_the_build_changes_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    model, mcu = toy(), load_mcu("stm32f412zg")
    other_files = {**model.files, "model.c": model.files["model.c"] + "\n"}
    keys = {
        image_key(model, mcu, "nucleo-f412zg"),
        image_key(model, mcu, "other-board"),
        image_key(replace(model, files=other_files), mcu, "nucleo-f412zg"),
        image_key(model, load_mcu("stm32f767zi"), "nucleo-f412zg"),
        image_key(model, replace(mcu, stack_bytes=8192), "nucleo-f412zg"),
        image_key(model, replace(mcu, clock_hz=96_000_000), "nucleo-f412zg"),
        image_key(model, replace(mcu, core="cortex-m7"), "nucleo-f412zg"),
    }
    monkeypatch.setattr("engine.toolchain.compiler_version", lambda _name: "zig cc 99")
    farm.image._surroundings.cache_clear()  # as in a new process
    keys.add(image_key(model, mcu, "nucleo-f412zg"))
    farm.image._surroundings.cache_clear()
    assert len(keys) == 8


def test_the_key_does_not_depend_on_the_name_alone() -> None:
    model, mcu = toy(), load_mcu("stm32f412zg")
    renamed = replace(model, name="another")
    assert image_key(renamed, mcu, "b") == image_key(model, mcu, "b")
    assert build_image(renamed, mcu, "b").name == "another"


def test_a_damaged_cache_entry_is_built_anew(image_cache: Path) -> None:
    model, mcu = toy(arena=320), load_mcu("stm32f412zg")
    first = build_image(model, mcu, "nucleo-f412zg")
    entry = image_cache / f"{first.image_key}.image"
    whole = entry.read_bytes()
    for damaged in (b"", whole[:40], whole[:-1], whole[:2000] + b"?" + whole[2001:]):
        entry.write_bytes(damaged)
        assert build_image(model, mcu, "nucleo-f412zg") == first
        assert entry.read_bytes() == whole
    assert not list(image_cache.glob("work-*"))


def test_a_cached_image_needs_no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    model, mcu = toy(), load_mcu("stm32f412zg")
    first = build_image(model, mcu, "nucleo-f412zg")

    def no_link(*_: object) -> bytes:
        raise AssertionError("linked again")

    monkeypatch.setattr("engine.toolchain.link_elf", no_link)
    assert build_image(model, mcu, "nucleo-f412zg") == first


def test_too_much_ram_or_flash_is_refused_by_the_byte() -> None:
    mcu = load_mcu("stm32f412zg")
    fits = build_image(toy(), mcu, "nucleo-f412zg")
    bench_bytes = fits.bench_ram_bytes
    room = mcu.ram.bytes - mcu.stack_bytes - bench_bytes - (fits.static_ram_bytes - 304)
    assert build_image(toy(arena=room), mcu, "nucleo-f412zg").static_ram_bytes
    with pytest.raises(ImageError, match=r"stm32f412zg.* 1000 more than the 262144") as caught:
        build_image(toy(arena=room + 1000), mcu, "nucleo-f412zg")
    assert caught.value.too_big
    assert caught.value.static_ram_bytes == mcu.ram.bytes - mcu.stack_bytes - bench_bytes + 1000
    with pytest.raises(ImageError, match=r"flash needs .* more than the 1048576") as caught:
        build_image(toy(weights=1 << 20), mcu, "nucleo-f412zg")
    assert caught.value.too_big
    assert caught.value.flash_bytes > 1 << 20


def test_what_does_not_compile_is_no_size_result() -> None:
    model = toy()
    broken = replace(model, files={**model.files, "model.c": "int tinyrack_invoke(;"})
    with pytest.raises(ImageError, match="toy for stm32f412zg") as caught:
        build_image(broken, load_mcu("stm32f412zg"), "nucleo-f412zg")
    assert not caught.value.too_big


def test_a_board_type_cannot_smuggle_c_into_the_build() -> None:
    for name in ('x"\nint y;', "", "a b", "x" * 64):
        with pytest.raises(ImageError, match="plain name"):
            board_header(load_mcu("stm32f412zg"), name)


@given(st.binary(max_size=400))
def test_bytes_that_are_no_elf_are_refused_as_such(data: bytes) -> None:
    for content in (data, b"\x7fELF\x01\x01\x01" + data):
        try:
            parts = load_segments(content)
        except ImageError:
            continue
        assert all(part in content for _, part in parts)


@pytest.mark.parametrize("name", BOARDS)
def test_the_harness_compiles_without_a_warning(name: str) -> None:
    mcu = load_mcu(name)
    folder = Path(farm.image.__file__).parent / "firmware"
    texts = {path.name: path.read_text() for path in folder.glob("*.[ch]")}
    texts |= {"board.h": board_header(mcu, BOARDS[name]), **toy().files}
    strict = ("-Os", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror")
    for path in sorted(folder.glob("*.c")):
        headers = {file: text for file, text in texts.items() if file.endswith(".h")}
        compile_object(path.name, texts[path.name], headers, mcu.core, strict)


def test_an_stm32f746_runs_the_schedule_of_a_cortex_m7() -> None:
    """Its FPU has single precision, as a Cortex-M4's: its kernels are those of an STM32F767."""
    dense = next(graph for graph in kernel_suite() if graph.name == "fully connected 140-64")
    code = [
        ELFFile(io.BytesIO(build_image(emit(dense), load_mcu(name), "board").elf))
        for name in ("stm32f412zg", "stm32f746ng", "stm32f767zi")
    ]
    m4, f746, f767 = ({name: kernel(elf, name) for name in kernels(elf)} for elf in code)
    assert f746 == f767
    assert f746 != m4


def kernels(elf: ELFFile) -> list[str]:
    symbols = elf.get_section_by_name(".symtab").iter_symbols()
    return [s.name for s in symbols if s.name.startswith("tr_") and s["st_size"]]


def kernel(elf: ELFFile, name: str) -> bytes:
    """The code of one function that calls no other."""
    symbol = elf.get_section_by_name(".symtab").get_symbol_by_name(name)[0]
    text = elf.get_section_by_name(".text")
    start = (symbol["st_value"] & ~1) - text["sh_addr"]
    return bytes(text.data()[start : start + symbol["st_size"]])
