"""Banner: what a harness says about itself, and whether that is the board and image meant."""

import struct
from dataclasses import dataclass
from enum import IntEnum

from farm.errors import BenchError
from farm.image import Image
from farm.mcus import Mcu
from farm.rack.inventory import Board

NONCE_BYTES = 4
_FACTS = struct.Struct("<4x12I32sI")  # behind the nonce of the request
_NEARLY = 16  # digits; of two images some 60 of 64 differ


class ClockSource(IntEnum):
    """Where the core clock comes from; RESET means that the clock recipe failed."""

    RESET = 0
    INTERNAL = 1
    EXTERNAL = 2


@dataclass(frozen=True)
class Banner:
    """Who answers: the image, the board type, and the clock and register values it runs with."""

    cpuid: int
    clock_hz: int
    clock_source: ClockSource
    input_bytes: int
    output_bytes: int
    arena_bytes: int
    layer_count: int
    stack_bytes: int
    overhead_cycles: int
    unique_id: str
    image_sha256: str
    checks: tuple[int, ...]
    board_type: str


def parse_banner(payload: bytes) -> Banner:
    """The banner in a reply to HELLO, laid out as in farm/firmware/banner.c; ValueError."""
    if len(payload) < _FACTS.size:
        raise ValueError(f"it has only {len(payload)} bytes")
    *facts, image_id, count = _FACTS.unpack_from(payload)
    end = _FACTS.size + 4 * count
    if end > len(payload):
        raise ValueError(f"it announces {count} register values and is too short for them")
    return Banner(
        cpuid=facts[0],
        clock_hz=facts[1],
        clock_source=ClockSource(facts[2]),
        input_bytes=facts[3],
        output_bytes=facts[4],
        arena_bytes=facts[5],
        layer_count=facts[6],
        stack_bytes=facts[7],
        overhead_cycles=facts[8],
        unique_id="".join(f"{word:08x}" for word in facts[9:12]),
        image_sha256=image_id.hex(),
        checks=struct.unpack_from(f"<{count}I", payload, _FACTS.size),
        board_type=payload[end:].decode("ascii", "backslashreplace"),
    )


def check_banner(board: Board, mcu: Mcu, image: Image, banner: Banner) -> None:
    """Refuse another image, another type of board or another clock; raises BenchError."""
    if banner.image_sha256 != image.image_sha256:
        raise BenchError(_other_image(banner.image_sha256, image), board.id)
    if banner.board_type != board.type.name:
        raise BenchError(f"it says it is a {banner.board_type}, not {board.type.name}", board.id)
    if banner.layer_count != len(image.layers):
        raise BenchError(
            f"it reports {banner.layer_count} layers, not {len(image.layers)}", board.id
        )
    if banner.clock_source == ClockSource.RESET or banner.clock_hz != mcu.clock_hz:
        raise BenchError(
            f"its clock recipe failed: it runs at {banner.clock_hz} Hz, not {mcu.clock_hz}; "
            "power-cycle it",
            board.id,
        )
    _check_registers(board, mcu, banner)


def _check_registers(board: Board, mcu: Mcu, banner: Banner) -> None:
    if len(banner.checks) != len(mcu.checks):
        raise BenchError(f"it reports {len(banner.checks)} registers", board.id)
    for check, value in zip(mcu.checks, banner.checks, strict=True):
        if value & check.mask != check.value:
            raise BenchError(
                f"{check.name} is {value:#010x}; under the mask {check.mask:#x} it must be "
                f"{check.value:#x}, so its clock, wait states or caches are not as they should be",
                board.id,
            )


def _other_image(found: str, image: Image) -> str:
    """What is wrong with a board that names that image; digits of a name that is nearly right
    have changed in its flash."""
    wanted = image.image_sha256
    wrong = sum(a != b for a, b in zip(found, wanted, strict=True))
    if wrong < _NEARLY:
        return (
            f"it runs image {found[:12]}, whose name differs from that of {image.name} in {wrong} "
            f"of {len(wanted)} digits: its flash has changed; flash it again"
        )
    return (
        f"it runs image {found[:12]}, not {wanted[:12]} of {image.name}; is the console wired to "
        "this board?"
    )
