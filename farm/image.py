"""Image: the harness built around one network for one board type; reproducible, and cached."""

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from engine import compilers, object_cache, toolchain
from engine.cmodel import CModel, Layer
from engine.errors import ToolchainError
from farm.board_header import board_header
from farm.build_id import build_id
from farm.errors import ImageError
from farm.mcus import Mcu
from farm.placement import Placement, placements

ID_BYTES = 32
HARNESS_FLAGS = ("-Os",)
# No loop of the C library's stand-in may become a call of itself, and most copies are short.
RUNTIME_FLAGS = ("-fno-builtin", "-fno-unroll-loops")
_RAM_SECTIONS = (".data", ".bss", ".hot_code")


@dataclass(frozen=True)
class Image:
    """An ELF for one board type, and what it takes: sizes in bytes.

    image_sha256 is over the loadable bytes with the identity field zeroed; the field then holds
    it. static_ram_bytes is .data and .bss: the network's arena, which holds its inputs and
    outputs, and the harness; and kernels that run from RAM, which take flash too; without the
    reserved stack, and without bench_ram_bytes, the copies of input and output that only a bench
    needs (.bench). build_id: GNU's, of the file; linker_script_sha256: of the script with every
    address filled in.
    """

    name: str
    elf: bytes
    image_sha256: str
    image_key: str
    flash_bytes: int
    static_ram_bytes: int
    bench_ram_bytes: int
    arena_bytes: int
    stack_bytes: int
    sections: Mapping[str, int]
    compiler: str
    flags: tuple[str, ...]
    board_type: str
    mcu: str
    layers: tuple[Layer, ...]
    build_id: str = ""
    linker_script_sha256: str = ""

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference."""
        return sum(layer.macs for layer in self.layers)

    def segments(self) -> list[tuple[int, bytes]]:
        """(load address, bytes) of everything that goes into flash, by rising address."""
        return load_segments(self.elf)


def load_segments(elf: bytes) -> list[tuple[int, bytes]]:
    """(load address, bytes) of each part of an ELF that is programmed; ImageError if it is none."""
    try:
        parts = [
            (int(segment["p_paddr"]), bytes(segment.data()))
            for segment in ELFFile(io.BytesIO(elf)).iter_segments("PT_LOAD")
            if segment["p_filesz"]
        ]
    except (ELFError, ValueError, IndexError) as error:
        raise ImageError(f"not an ELF file that can be flashed: {error}") from error
    return sorted(parts)


def image_key(model: CModel, mcu: Mcu, board_type: str, compiler: str = compilers.DEFAULT) -> str:
    """Hash over every input of the build, as 64 hex digits; needs no build."""
    inputs = {
        "model": dict(model.files),
        "arena_bytes": model.arena_bytes,
        **_surroundings(mcu, board_type, compiler),
        **({"model_flags": dict(model.flags)} if model.flags else {}),
    }
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


@lru_cache(maxsize=64)
def _surroundings(mcu: Mcu, board_type: str, compiler: str) -> Mapping[str, object]:
    """What goes into a build besides the model; for good in one process, as its own code is."""
    return {
        "harness": dict(_harness_files()),
        "board": board_header(mcu, board_type),
        "memories": [mcu.name, mcu.core, mcu.flash.base, mcu.stack_bytes],
        "placements": [str(way) for way in placements(mcu)],
        "compiler": toolchain.compiler_version(compiler),
        "flags": [toolchain.target_flags(mcu.core, compiler), HARNESS_FLAGS, RUNTIME_FLAGS],
        "toolchain": [
            Path(file).read_text(encoding="utf-8")
            for file in (toolchain.__file__, compilers.__file__)
        ],
        "format": 1,
    }


def build_image(
    model: CModel, mcu: Mcu, board_type: str, compiler: str = compilers.DEFAULT
) -> Image:
    """The image of a network, from the cache when every input is the same.

    compiler: a name of `engine.compilers`. Raises ImageError when it does not compile, or does
    not fit (too_big, with the sizes).
    """
    key = image_key(model, mcu, board_type, compiler)
    try:
        elf = _cached_elf(key) or _made(key, _placed(model, mcu, board_type, compiler))
    except (OSError, ToolchainError) as error:
        raise ImageError(f"{model.name} for {mcu.name} could not be built: {error}") from error
    image = _describe(elf, key, model, mcu, board_type, compiler)
    _check_fit(image, mcu)
    return image


@lru_cache(maxsize=1)
def _harness_files() -> Mapping[str, str]:
    folder = Path(__file__).parent / "firmware"
    paths = sorted(path for path in folder.iterdir() if path.suffix in (".c", ".h", ".ld"))
    return {path.name: path.read_text(encoding="utf-8") for path in paths}


def _placed(model: CModel, mcu: Mcu, board_type: str, compiler: str) -> bytes:
    """The ELF laid out in the best way that its memories have room for, or else in the last."""
    objects = _objects(model, mcu, board_type, compiler)
    for way in placements(mcu):
        elf = toolchain.link_elf(objects, _script(mcu, way), "Reset_Handler", mcu.core, compiler)
        if way.excess(_sections(elf)) is None:
            break
    return elf


def _objects(model: CModel, mcu: Mcu, board_type: str, compiler: str) -> list[Path]:
    harness = _harness_files()
    headers = {**harness, "board.h": board_header(mcu, board_type), **model.files}
    objects = [
        _compile(name, model.files, mcu, tuple(model.flags.get(name, ())), compiler)
        for name in _sources(model.files)
    ]
    for name in _sources(harness):
        flags = RUNTIME_FLAGS if name == "runtime.c" else HARNESS_FLAGS
        objects.append(_compile(name, headers, mcu, flags, compiler))
    return objects


def _sources(files: Mapping[str, str]) -> list[str]:
    return sorted(name for name in files if name.endswith(".c"))


def _compile(
    name: str, files: Mapping[str, str], mcu: Mcu, flags: tuple[str, ...], compiler: str
) -> Path:
    return toolchain.compile_object(name, files[name], files, mcu.core, flags, compiler)


def _script(mcu: Mcu, way: Placement) -> str:
    script = _harness_files()["harness.ld"]
    for mark, value in way.marks(mcu).items():
        script = script.replace(mark, value)
    return script


def _script_sha256(elf: ELFFile, mcu: Mcu) -> str:
    """Of the script that it was linked by, which its addresses tell; the ELF may be an old one."""
    addresses = {s.name: int(s["sh_addr"]) for s in elf.iter_sections()}
    way = next((way for way in placements(mcu) if way.was_used(addresses)), placements(mcu)[-1])
    return hashlib.sha256(_script(mcu, way).encode()).hexdigest()


def _sections(elf: bytes) -> dict[str, int]:
    """Sizes in bytes by name."""
    return {s.name: int(s["sh_size"]) for s in ELFFile(io.BytesIO(elf)).iter_sections() if s.name}


def _identify(elf: bytes) -> bytes:
    """The ELF with its identity field filled in."""
    section = ELFFile(io.BytesIO(elf)).get_section_by_name(".image_id")
    if section is None or section["sh_size"] != ID_BYTES or any(section.data()):
        raise ImageError("the linked harness has no empty identity field; check harness.ld")
    start = section["sh_offset"]
    return elf[:start] + _loadable_sha256(elf).digest() + elf[start + ID_BYTES :]


def _loadable_sha256(elf: bytes) -> "hashlib._Hash":
    section = ELFFile(io.BytesIO(elf)).get_section_by_name(".image_id")
    start = section["sh_offset"]
    blank = elf[:start] + bytes(ID_BYTES) + elf[start + ID_BYTES :]
    return hashlib.sha256(b"".join(data for _, data in load_segments(blank)))


def _describe(
    elf: bytes, key: str, model: CModel, mcu: Mcu, board_type: str, compiler: str
) -> Image:
    sections, file = _sections(elf), ELFFile(io.BytesIO(elf))
    return Image(
        name=model.name,
        elf=elf,
        image_sha256=_loadable_sha256(elf).hexdigest(),
        image_key=key,
        flash_bytes=max(start + len(data) for start, data in load_segments(elf)) - mcu.flash.base,
        static_ram_bytes=sum(sections.get(name, 0) for name in _RAM_SECTIONS),
        bench_ram_bytes=sections.get(".bench", 0),
        arena_bytes=model.arena_bytes,
        stack_bytes=mcu.stack_bytes,
        sections=sections,
        compiler=toolchain.compiler_version(compiler),
        flags=toolchain.target_flags(mcu.core, compiler),
        board_type=board_type,
        mcu=mcu.name,
        layers=model.layers,
        build_id=build_id(file),
        linker_script_sha256=_script_sha256(file, mcu),
    )


def _check_fit(image: Image, mcu: Mcu) -> None:
    over = []
    if image.flash_bytes > mcu.flash.bytes:
        over.append(_excess("flash", image.flash_bytes, mcu.flash.bytes))
    if lacking := placements(mcu)[-1].excess(image.sections):
        extras = f"{image.stack_bytes} of stack, {image.bench_ram_bytes} of the bench"
        over.append(_excess(f"RAM (with {extras})", lacking[0], lacking[1].bytes))
    if over:
        raise ImageError(
            f"{image.name} does not fit {mcu.name}: {' and '.join(over)}; use a smaller network",
            too_big=True,
            flash_bytes=image.flash_bytes,
            static_ram_bytes=image.static_ram_bytes,
        )


def _excess(memory: str, needed: int, size: int) -> str:
    return f"{memory} needs {needed} bytes, {needed - size} more than the {size} there are"


def _cached_elf(key: str) -> bytes | None:
    """The ELF kept under the key; None when there is none or it is not what was written."""
    found = object_cache.find(f"{key}.image")
    return found.read_bytes()[: -object_cache.DIGEST_BYTES] if found else None


def _made(key: str, linked: bytes) -> bytes:
    """The ELF with its identity, kept under the key."""
    elf = _identify(linked)
    with object_cache.workspace() as folder:
        made = Path(folder) / "image"
        made.write_bytes(elf)
        object_cache.keep(made, f"{key}.image")
    return elf
