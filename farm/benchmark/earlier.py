"""Cycles of earlier commits, and why some were allowed to be worse."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from engine.mode import FASTEST
from farm.benchmark.markdown import NONE, table, whole
from farm.benchmark.names import board_name
from farm.benchmark.record import Record

HISTORY_COMMITS = 30


def earlier(history: Sequence[Record]) -> Iterator[str]:
    """For each type of board the cycles of every commit, the newest first."""
    for board in dict.fromkeys(board_name(r) for r in history):
        mine = [r for r in history if board_name(r) == board and r.variant == "folded"]
        mine = [r for r in mine if r.mode == FASTEST]
        names = list(dict.fromkeys(r.case for r in mine))
        commits = list(dict.fromkeys(r.commit for r in reversed(mine)))[:HISTORY_COMMITS]
        cells = {(r.commit, r.case): r for r in mine}
        rows = [
            (
                commit,
                _models(cells, commit),
                *(_then(cells.get((commit, name))) for name in names),
                _reasons(history, commit, board),
            )
            for commit in commits
        ]
        yield f"### Cycles of folded networks on {board}"
        yield table(("commit", "model", *(f"{n} " for n in names), "worse, accepted because"), rows)


def _then(record: Record | None) -> str:
    return whole(record.cycles if record else None)


def _models(cells: dict[tuple[str, str], Record], commit: str) -> str:
    found = {r.timing_model or "silicon" for (made, _), r in cells.items() if made == commit}
    return ", ".join(sorted(found))


def _reasons(history: Sequence[Record], commit: str, board: str) -> str:
    found = [r for r in history if r.commit == commit and board_name(r) == board and r.accepted]
    reasons = {r.accepted: [x.case for x in found if x.accepted == r.accepted] for r in found}
    texts = (f"{', '.join(dict.fromkeys(cases))}: {why}" for why, cases in reasons.items())
    return "; ".join(texts) or NONE
