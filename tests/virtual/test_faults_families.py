"""What worn flash and failing power do on every family of flash controllers, as pyOCD sees it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from farm import probe as farm_probe
from farm.errors import BenchError
from farm.mcus import load_mcu
from farm.probe import open_probe
from farm.rack.inventory import Board, BoardType
from farm.virtual import rack
from farm.virtual.faults import active, clear, fault, inject
from farm.virtual.parts import load_part

TARGETS = {  # those of the F412 are in test_faults.py
    "stm32f767zi": "stm32f767zi",
    "stm32h743zi": "stm32h743zitx",
    "stm32l4r5zi": "stm32l4r5zitx",
}
FLASH = 0x0800_0000
AT = FLASH + 0x100
WORD = {"stm32f767zi": 4, "stm32h743zi": 32, "stm32l4r5zi": 8}  # what is programmed at a time


@dataclass(frozen=True)
class Bytes:
    """Something to flash."""

    data: bytes
    name: str = "bytes"

    def segments(self) -> list[tuple[int, bytes]]:
        return [(FLASH, self.data)]


OTHER_CONTROLLERS = ("stm32h743zi", "stm32l4r5zi")  # the F767 has that of the F412


@pytest.fixture(scope="module")
def board(
    request: pytest.FixtureRequest, own_cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Board]:
    kind = BoardType("kind", request.param, TARGETS[request.param])
    found = Board("b-1", kind, "virtual:TR-FAMILY")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(own_cache))
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        rack.ensure_up(found)
        yield found
        rack.down()


@pytest.fixture(autouse=True)
def own_state(board: Board) -> Iterator[None]:
    """The state of this file, and a sound board for each test of it."""
    yield
    clear(board)
    rack.power(board, "on")


def image(name: str, size: int = 2000) -> Bytes:
    """An image that differs from test to test; no word of it is erased flash."""
    return Bytes(hashlib.shake_128(name.encode()).digest(size).replace(b"\xff", b"\x7f"))


def program(board: Board, what: Bytes) -> None:
    with open_probe(board, load_mcu(board.type.mcu)) as probe:
        probe.flash(what)
        probe.verify(what)


def contents(board: Board, size: int) -> bytes:
    with open_probe(board, load_mcu(board.type.mcu)) as probe:
        return probe.read(FLASH, size)


@pytest.mark.parametrize("board", OTHER_CONTROLLERS, indirect=True)
def test_worn_flash_is_named_with_its_address_and_works_again_when_cleared(board: Board) -> None:
    for number, (what, said) in enumerate(
        (
            (fault("flash-program", at=AT), "flash program page failure"),
            (fault("flash-erase", at=AT), "flash erase sector failure"),
            (fault("flash-cell", at=AT, bit=7, value=1), "flash at 0x08000100 holds 0x"),
        )
    ):
        inject(board, what)
        wanted = image(f"worn {number}").data
        wanted = Bytes(wanted[:0x100] + b"\x00" + wanted[0x101:])
        with pytest.raises(BenchError, match=rf"b-1: .*{said}"):
            program(board, wanted)
        assert active(board) == (what,)
        clear(board)
    program(board, wanted)
    rotten = inject(board, fault("flash-rot", bits=2, seed=3, at=FLASH, bytes=2000))["addresses"]
    caught = pytest.raises(BenchError, match=f"flash at {rotten[0]:#010x} holds")
    with open_probe(board, load_mcu(board.type.mcu)) as probe, caught:
        probe.verify(wanted)
    program(board, wanted)


@pytest.mark.parametrize("board", OTHER_CONTROLLERS, indirect=True)
def test_controller_that_stays_busy_times_out_until_a_power_cycle(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in farm_probe.FLASH_DEADLINES_S:
        monkeypatch.setitem(farm_probe.FLASH_DEADLINES_S, name, 0.4)
    inject(board, fault("flash-busy", after=5))
    with pytest.raises(BenchError, match=r"flashing failed: flash .*time"):
        program(board, image("busy"))
    rack.power(board, "cycle")
    assert active(board) == ()
    monkeypatch.undo()
    program(board, image("busy"))


@pytest.mark.parametrize("board", TARGETS, indirect=True)
def test_power_that_fails_inside_a_word_or_an_erase_leaves_the_same_noise_every_time(
    board: Board,
) -> None:
    word, sector = WORD[board.type.mcu], load_part(board.type.mcu).sectors[0].bytes
    zeros, size = Bytes(bytes(2048)), min(sector, 8192)
    program(board, Bytes(bytes(range(1, 251)) * (size // 250)))
    torn, erased = [], []
    for _ in range(2):
        inject(board, fault("power-cut", after=3, count="words", seed=5))
        with pytest.raises(BenchError, match=r"flashing failed: .*no acknowledge on the wire"):
            program(board, zeros)
        rack.power(board, "on")
        torn.append(contents(board, 2048))
        inject(board, fault("brown-out", after=1, count="erases", seed=5))
        with pytest.raises(BenchError, match=r"flashing failed"):
            program(board, image("cut"))
        erased.append(contents(board, size))  # it has power again by itself
    assert torn[0] == torn[1]
    assert torn[0][: 2 * word] == bytes(2 * word)
    assert torn[0][2 * word : 3 * word] not in (bytes(word), b"\xff" * word)
    assert torn[0][3 * word :] == b"\xff" * (2048 - 3 * word)
    assert erased[0] == erased[1]
    assert len(set(erased[0])) > 200  # noise: neither what was there nor erased
    assert active(board) == ()
    program(board, image("cut"))
