"""The whole flash of a part through pyOCD: its sectors, and erasing it once.

pyOCD would erase the chip once for each of its regions, which differ in the size of their sectors
alone: three times on most STM32, at up to 16 s and one erase of its rated life each.
"""

from collections.abc import Iterator
from typing import Any

_BLANK = 0xFFFF_FFFF  # of STM32; a word of another value means that there is something to erase
_BLOCK_BYTES = 16_384


def sectors(target: Any) -> Iterator[int]:
    """The address of each."""
    for region in _regions(target):
        yield from _sectors(region)


def erase(target: Any) -> Iterator[int]:
    """Erase every region that is not blank; says which sectors before it erases them."""
    for region in _regions(target):
        if not _is_blank(target, region):
            yield from _worn_with(target, region)
            _erase(region)


def _regions(target: Any) -> list[Any]:
    regions = target.memory_map.regions
    return [region for region in regions if region.is_flash and region.flash is not None]


def _worn_with(target: Any, region: Any) -> Iterator[int]:
    """One algorithm erases all that has it: the chip, or (counted too high) more than one bank."""
    for other in _regions(target):
        if other is region or (region.flash.is_erase_all_supported and other.algo is region.algo):
            yield from _sectors(other)


def _sectors(region: Any) -> Iterator[int]:
    address = region.start
    while address <= region.end:
        info = region.flash.get_sector_info(address)
        yield info.base_addr
        address = info.base_addr + info.size


def _is_blank(target: Any, region: Any) -> bool:
    starts = range(region.start, region.start + region.length, _BLOCK_BYTES)
    counts = (min(_BLOCK_BYTES, region.start + region.length - start) // 4 for start in starts)
    return all(
        word == _BLANK
        for start, count in zip(starts, counts, strict=True)
        for word in target.read_memory_block32(start, count)
    )


def _erase(region: Any) -> None:
    flash = region.flash
    flash.init(flash.Operation.ERASE)
    try:
        if flash.is_erase_all_supported:
            flash.erase_all()
        else:
            for sector in _sectors(region):
                flash.erase_sector(sector)
    finally:
        flash.cleanup()
