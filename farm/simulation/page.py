"""docs/farm-figures.md: what the manager costs, as the last `nox -s farm` found it."""

from collections.abc import Mapping
from typing import Any

_HEAD = """# What scheduling costs

    nox -s farm
    nox -s farm -- --boards 1,50 --jobs 300

`farm/simulation/` runs the manager, the schedule and the store as they are; only the boards and
the time are simulated. A job takes 5 to 15 simulated seconds on a board, one attempt in a hundred
fails and is tried again, one job in twenty needs a board with a tag that every tenth board has,
one in ten is a final measurement, and three submitters take turns. The CPU time of the manager is
real, passes in simulated time too, and the manager does one thing after the other: a board waits
for it. All jobs are handed in at once; "busy" counts until the last one was given out.
"""
_COLUMNS = (
    ("boards", "boards", "{:,}"),
    ("jobs", "jobs", "{:,}"),
    ("measured", "measured", "{:,}"),
    ("failed attempts", "failed_attempts", "{:,}"),
    ("queue a job, CPU ms", "submit_ms", "{:.2f}"),
    ("manage a job, CPU ms", "manage_ms", "{:.2f}"),
    ("boards busy, %", "busy_percent", "{:.2f}"),
    ("other image, %", "other_image_percent", "{:.0f}"),
    ("a board, KiB", "board_bytes", "kib"),
    ("a waiting job, KiB", "job_bytes", "kib"),
)


def page(facts: Mapping[str, Any]) -> str:
    """The page as Markdown."""
    rows = [_row([title for title, _, _ in _COLUMNS]), "|" + " ---: |" * len(_COLUMNS)]
    rows += [_row([_cell(each[key], how) for _, key, how in _COLUMNS]) for each in facts["figures"]]
    found = ["| promise | found | limit | |", "| --- | ---: | ---: | --- |"]
    found += [
        f"| {each['what']} | {each['value']:g} | {each['limit']:g} | "
        f"{'met' if each['met'] else 'MISSED'} |"
        for each in facts["findings"]
    ]
    when = f"{facts['utc']}, {facts['host']}, shared with other work."
    below = (
        '"Queue" is the look-up in the store, the hash of the image and the place in line; '
        '"manage" is everything between the end of a job and the start of the next: storing it '
        "durably with its audit, telling who waits, choosing. Both are mostly the store. "
        '"Other image" is the part of the jobs for which a board had to be flashed: 40 images '
        "are asked for at random."
    )
    return "\n".join([_HEAD, when, "", *rows, "", *found, "", below]) + "\n"


def _cell(value: float, how: str) -> str:
    return f"{value / 1024:.1f}" if how == "kib" else how.format(value)


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"
