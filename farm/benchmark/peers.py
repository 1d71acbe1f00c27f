"""What other engines need for the same networks: facts from docs/benchmarks-peers.csv."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from farm.errors import InventoryError

_COLUMNS = (
    *("network", "core", "engine", "board", "clock_mhz", "inferences_per_s", "instructions"),
    *("ram_bytes", "flash_bytes", "exact", "source"),
)


@dataclass(frozen=True)
class Peer:
    """One engine's figures for one network on one core; None for what was not measured.

    cycles: of silicon, clock by inferences a second. instructions: of an inference, counted by
    an emulator. ram_bytes: arena and stack. exact: `no` where its output is not TFLite's.
    """

    network: str
    core: str
    engine: str
    board: str
    cycles: float | None
    instructions: int | None
    ram_bytes: int | None
    flash_bytes: int | None
    exact: str
    source: str


def load_peers(path: Path) -> tuple[Peer, ...]:
    """Every row; InventoryError names the line that makes no sense."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            if tuple(reader.fieldnames or ()) != _COLUMNS:
                raise InventoryError(f"{path}: its columns are not {', '.join(_COLUMNS)}")
            return tuple(_peer(row, f"{path}, line {reader.line_num}") for row in reader)
    except OSError as error:
        raise InventoryError(f"{path}: cannot be read: {error.strerror or error}") from error


def _peer(row: dict[str, str], where: str) -> Peer:
    try:
        rate, clock = row["inferences_per_s"], row["clock_mhz"]
        return Peer(
            row["network"],
            row["core"],
            row["engine"],
            row["board"],
            float(clock) * 1e6 / float(rate) if rate else None,
            _count(row["instructions"]),
            _count(row["ram_bytes"]),
            _count(row["flash_bytes"]),
            row["exact"],
            row["source"],
        )
    except (ValueError, TypeError, ZeroDivisionError) as error:
        raise InventoryError(f"{where}: {error}") from error


def _count(text: str) -> int | None:
    return int(text) if text else None


def best_silicon(peers: Sequence[Peer], network: str, core: str) -> tuple[Peer, float] | None:
    """The published row with the fewest cycles, and these; None where nothing was published."""
    rows = [(p, p.cycles) for p in peers if (p.network, p.core) == (network, core) and p.cycles]
    return min(rows, key=lambda row: row[1], default=None)


def counted(peers: Sequence[Peer], network: str, core: str) -> list[Peer]:
    """The rows that have instructions."""
    return [p for p in peers if (p.network, p.core) == (network, core) and p.instructions]
