"""State of its own for every test, no daemon left behind by one, and small firmware to run."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from farm.rack.inventory import Board, BoardType
from farm.virtual import rack


@pytest.fixture(scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")  # one for all tests: the native hook is built once


@pytest.fixture(autouse=True)
def own_state(own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(own_cache))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    yield
    rack.down()


@pytest.fixture
def f412() -> Board:
    return Board("f412-t", BoardType("nucleo", "stm32f412zg", "stm32f412xg"), "virtual:TR-T412")


@pytest.fixture
def f767() -> Board:
    return Board("f767-t", BoardType("nucleo", "stm32f767zi", "stm32f767zi"), "virtual:TR-T767")


@pytest.fixture
def echo_firmware() -> bytes:
    """STM32F412: says "!" on USART3, then sends back each byte it gets, for ever."""
    code = [
        0x4809, 0x2101, 0x0489, 0x6001,  # RCC.APB1ENR = 1 << 18
        0x4808,                          # r0 = USART3
        0x4909, 0x6081,                  # BRR
        0x4909, 0x60C1,                  # CR1 = UE | TE | RE
        0x2121, 0x6041,                  # DR = "!"
        0x6801, 0x0689, 0xD5FC,          # until SR.RXNE
        0x6841, 0x6041, 0xE7F9,          # DR = DR
        0xBF00, 0xBF00, 0xBF00,
    ]  # fmt: skip
    literals = [0x4002_3840, 0x4000_4800, 0x8B, 0x200C]
    vectors = struct.pack("<2I", 0x2000_1000, 0x0800_0009)
    return vectors + struct.pack("<20H", *code) + struct.pack("<4I", *literals)


@pytest.fixture
def count_firmware() -> bytes:
    """Any part: counts up at 0x20000000 for ever; the loop starts at 0x0800000C."""
    code = [0x2020, 0x0600, 0x6801, 0x3101, 0x6001, 0xE7FB]
    vectors = struct.pack("<2I", 0x2000_1000, 0x0800_0009)
    return vectors + struct.pack("<6H", *code)
