"""What the tests of a session did on each board, and the table of it at the end."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

COLUMNS = ("tests", "measurements", "cycles", "retries", "rungs", "board s")


@dataclass
class BoardTally:
    """Of one board; cycles: of all timed runs; seconds: while held by tests or measuring."""

    tests: int = 0
    measurements: int = 0
    cycles: int = 0
    retries: int = 0
    rungs: int = 0
    seconds: float = 0.0

    def add(self, other: Mapping[str, float]) -> None:
        """Count what another process did, by the names of these fields."""
        for name, value in other.items():
            setattr(self, name, getattr(self, name) + value)


@dataclass
class Tally:
    """Of all boards, by their ids."""

    boards: dict[str, BoardTally] = field(default_factory=dict)

    def of(self, board_id: str) -> BoardTally:
        """The counts of one board."""
        return self.boards.setdefault(board_id, BoardTally())

    def to_json(self) -> dict[str, dict[str, float]]:
        """Plain values, to cross processes."""
        return {board: asdict(counts) for board, counts in self.boards.items()}

    def add_json(self, rows: Mapping[str, Mapping[str, float]]) -> None:
        """Add what `to_json` of another process gave."""
        for board, counts in rows.items():
            self.of(board).add(counts)

    def lines(self) -> list[str]:
        """The table, a board a line."""
        width = max(map(len, self.boards), default=0)
        width = max(width, len("board"))
        lines = [f"{'board':{width}}" + "".join(f"{name:>14}" for name in COLUMNS)]
        for board, counts in sorted(self.boards.items()):
            whole = (counts.tests, counts.measurements, counts.cycles, counts.retries, counts.rungs)
            cells = "".join(f"{value:>14,}" for value in whole) + f"{counts.seconds:>14.1f}"
            lines.append(f"{board:{width}}{cells}")
        return lines
