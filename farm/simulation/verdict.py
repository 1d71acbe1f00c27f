"""Whether the manager is cheap enough: boards kept busy, costs that do not grow with the rack."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from farm.simulation.run import Figures

BUSY_PERCENT = 95.0  # of the time of the boards, while jobs wait
GROWTH = 2.0  # by how much a job may cost more on the largest rack than on the smallest


@dataclass(frozen=True)
class Finding:
    """One promise and what was found."""

    what: str
    value: float
    limit: float
    met: bool

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def findings(figures: Sequence[Figures]) -> list[Finding]:
    """Every promise, over all racks."""
    lost = sum(each.jobs_lost + each.jobs - each.measured for each in figures)
    busy = min(each.busy_percent for each in figures)
    return [
        Finding("jobs lost or not measured", lost, 0, lost == 0),
        Finding(
            "boards busy while jobs wait, %, at least", busy, BUSY_PERCENT, busy > BUSY_PERCENT
        ),
        _growth("CPU time to queue a job, times", figures, lambda each: each.submit_ms),
        _growth("CPU time to manage a job, times", figures, lambda each: each.manage_ms),
        _growth("memory of a waiting job, times", figures, lambda each: each.job_bytes),
    ]


def _growth(what: str, figures: Sequence[Figures], of: Callable[[Figures], float]) -> Finding:
    """From the smallest rack to the largest."""
    ordered = sorted(figures, key=lambda each: each.boards)
    times = of(ordered[-1]) / of(ordered[0])
    return Finding(what, round(times, 2), GROWTH, times <= GROWTH)
