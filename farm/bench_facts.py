"""The provenance of a measurement: how it was made, by names that docs/results.md explains."""

import hashlib
import logging
import platform
from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

from farm.banner import Banner, ClockSource
from farm.image import Image
from farm.leases import boot_clock
from farm.link import Link
from farm.mcus import Mcu
from farm.measure import Scalar
from farm.probe import Flashed
from farm.rack.inventory import Board
from farm.runs import Runs, depends_on_data
from farm.samples import outliers, spread_percent
from farm.wear import wear_of, worn_warning

_LOG = logging.getLogger(__name__)
SPREAD_LIMIT_PERCENT = 0.5
_GENERATOR = (".py", ".c", ".h", ".S")  # files of the package that writes C and has the kernels
_FLAGS: tuple[tuple[str, Callable[[Runs], bool]], ...] = (
    (
        f"spread over {SPREAD_LIMIT_PERCENT} %",
        lambda runs: spread_percent(runs.samples) > SPREAD_LIMIT_PERCENT,
    ),
    ("outliers", lambda runs: bool(outliers(runs.samples))),
    ("not warm at first", lambda runs: bool(runs.unsettled)),
    ("cycles depend on the data", depends_on_data),
)


def of_bench(board: Board, image: Image, link: Link) -> dict[str, Scalar]:
    """What was measured, by what, and where."""
    return of_image(image) | of_board(board) | of_link(link) | of_host()


def of_image(image: Image) -> dict[str, Scalar]:
    """What was built, with what, and from what."""
    return {
        "compiler": image.compiler,
        "compiler_flags": " ".join(image.flags),
        "elf_build_id": image.build_id,
        "linker_script_sha256": image.linker_script_sha256,
        "engine_sha256": engine_sha256(),
        "bench_ram_bytes": image.bench_ram_bytes,
    }


def of_board(board: Board) -> dict[str, Scalar]:
    """Which probe drove it, by which software."""
    return {
        "pyocd": version("pyocd"),
        "packs": packs(board.type.packs),
        "tinyrack": version("tinyrack"),
        "probe": board.probe,
    }


def of_host() -> dict[str, Scalar]:
    """Its kernel, and its own clock, which nobody steps: seconds since it started, and which boot.

    The worker adds host and process.
    """
    return {
        "host_kernel": f"{platform.system()} {platform.release()}",
        "boot_id": boot_clock.boot_id(),
        "monotonic_s": round(boot_clock.now_s(), 3),
    }


def of_runs(mcu: Mcu, banner: Banner, runs: Runs, purpose: str) -> dict[str, Scalar]:
    """What the harness said, how often it ran, and what is odd about that."""
    flags = [text for text, holds in _FLAGS if holds(runs)]
    if banner.clock_source == ClockSource.INTERNAL:
        flags.append("internal oscillator")
    registers = zip(mcu.checks, banner.checks, strict=True)
    return {
        "mcu": mcu.name,
        "unique_id": banner.unique_id,
        "cpuid": f"{banner.cpuid:#010x}",
        "clock_source": banner.clock_source.name.lower(),
        "timer_overhead_cycles": banner.overhead_cycles,
        "purpose": purpose,
        "warm_runs": runs.warm_runs,
        "unsettled_samples": " ".join(map(str, runs.unsettled)),
        "stack_reserved_bytes": banner.stack_bytes,
        "stack_intact_bytes": min(stack.intact_bytes for stack in runs.stacks),
        "flags": ", ".join(flags),
        **{check.name: f"{value:#010x}" for check, value in registers},
    }


def of_link(link: Link) -> dict[str, Scalar]:
    """How well the console worked."""
    return {"console_retries": link.retries, "damaged_frames": link.damaged_frames}


def of_flash(board: Board, mcu: Mcu, flashed: Flashed) -> dict[str, Scalar]:
    """What programming cost the flash, and how much of its rated life is over."""
    percent = wear_of(board).percent(mcu.rated_erases)
    if warning := worn_warning(board, percent):
        _LOG.warning("%s", warning)
    return {
        "erased_sectors": len(flashed.sectors),
        "programmed_bytes": flashed.programmed_bytes,
        "kept_bytes": flashed.kept_bytes,
        "worn_percent": round(percent, 2),
    }


def packs(paths: Sequence[str]) -> str:
    """The CMSIS-Packs that pyOCD knows the part from: name and SHA-256 of each; "": its own."""
    return "; ".join(f"{Path(path).name} {_file_sha256(Path(path))}" for path in paths)


@lru_cache(maxsize=1)
def engine_sha256() -> str:
    """SHA-256 over every source of code generator and kernels: names and bytes, by name."""
    root = Path(str(files("engine")))
    digest = hashlib.sha256()
    for path in sorted(path for path in root.rglob("*") if path.suffix in _GENERATOR):
        data = path.read_bytes()
        digest.update(f"{path.relative_to(root).as_posix()}\n{len(data)}\n".encode() + data)
    return digest.hexdigest()


@lru_cache(maxsize=8)
def _file_sha256(path: Path) -> str:
    """Of a pack, which does not change while a worker uses it; "" where there is none."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
