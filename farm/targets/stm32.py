"""The classes behind our targets: a memory map, an algorithm, and what to do on connecting.

Sources: ST's CMSIS device headers and HAL: memory maps, flash sectors, DBGMCU.
"""

# mypy: disallow-subclassing-any=False
# pyOCD has no usable types for mypy, so its base classes are Any here.

from __future__ import annotations

from typing import Any

from pyocd.core.memory_map import FlashRegion, MemoryMap, RamRegion
from pyocd.coresight.coresight_target import CoreSightTarget
from pyocd.target import TARGET
from pyocd.target.builtin.target_STM32F767xx import STM32F767xx
from pyocd.target.builtin.target_STM32H743xx import STM32H743xx

from farm.targets.algorithm import flash_algorithm

_VENDOR = "STMicroelectronics"
_FLASH = 0x08000000
_RAM = 0x20000000
_PAGE_BYTES = 0x1000
_DBGMCU_CR = 0xE0042004
_DEBUG_IN_SLEEP = 7  # DBG_SLEEP, DBG_STOP, DBG_STANDBY


def _flash(algorithm: dict[str, Any], start: int, length: int, sector: int) -> FlashRegion:
    return FlashRegion(
        start=start,
        length=length,
        sector_size=sector,
        page_size=min(_PAGE_BYTES, sector),
        is_boot_memory=start == _FLASH,
        algo=algorithm,
    )


class Stm32F746(STM32F767xx):
    """STM32F746NG: connects as an F767 does."""

    VENDOR = _VENDOR

    def __init__(self, session: Any) -> None:
        algorithm = flash_algorithm("stm32f7", "cortex-m7", _RAM, _PAGE_BYTES)
        regions = (
            _flash(algorithm, 0x08000000, 0x20000, 0x8000),
            _flash(algorithm, 0x08020000, 0x20000, 0x20000),
            _flash(algorithm, 0x08040000, 0xC0000, 0x40000),
            RamRegion(start=_RAM, length=0x50000),
        )
        # Not the F767's own constructor: that one brings the F767's map.
        CoreSightTarget.__init__(self, session, MemoryMap(*regions))

    def post_connect_hook(self) -> None:
        """Let the debugger in while the core sleeps."""
        self.write32(_DBGMCU_CR, _DEBUG_IN_SLEEP)


class Stm32L4R5(CoreSightTarget):
    """STM32L4R5ZI with its flash in two banks, as it leaves the factory."""

    VENDOR = _VENDOR

    def __init__(self, session: Any) -> None:
        algorithm = flash_algorithm("stm32l4r", "cortex-m4", _RAM, _PAGE_BYTES)
        regions = (
            _flash(algorithm, _FLASH, 0x200000, 0x1000),
            RamRegion(start=_RAM, length=0xA0000),
        )
        super().__init__(session, MemoryMap(*regions))

    def post_connect_hook(self) -> None:
        """Let the debugger in while the core sleeps."""
        self.write32(_DBGMCU_CR, _DEBUG_IN_SLEEP)


class Stm32H743(STM32H743xx):
    """STM32H743ZI: pyOCD's own target, but for its algorithm, and with the AXI SRAM.

    pyOCD's algorithm erases the sector behind the one that it is told to, and reports no error.
    """

    def __init__(self, session: Any) -> None:
        algorithm = flash_algorithm("stm32h7", "cortex-m7", _RAM, _PAGE_BYTES)
        regions = (
            _flash(algorithm, _FLASH, 0x200000, 0x20000),
            RamRegion(start=0x00000000, length=0x10000, is_cachable=False),
            RamRegion(start=_RAM, length=0x20000, is_cachable=False),
            RamRegion(start=0x24000000, length=0x80000),
            RamRegion(start=0x30000000, length=0x48000, is_powered_on_boot=False),
            RamRegion(start=0x38000000, length=0x10000),
        )
        CoreSightTarget.__init__(self, session, MemoryMap(*regions))


# Here and not in register(): this module may itself be what makes pyOCD load its plug-ins, one of
# which registers while this is half done.
TARGET.update(
    {
        "stm32f746nghx": Stm32F746,
        "stm32h743zitx": Stm32H743,
        "stm32l4r5zitx": Stm32L4R5,
    }
)
