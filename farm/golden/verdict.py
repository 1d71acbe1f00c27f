"""Whether a golden run shows a board in order: its output to the bit, its cycles, its clock."""

from dataclasses import dataclass

from farm.golden.baseline import Baseline, kind
from farm.measure import Measurement
from farm.store.history import GoldenRun

TOLERANCE_PERCENT = 0.2
TOLERANCE_CYCLES = 20
TOLERANCE_IQRS = 3


@dataclass(frozen=True)
class Verdict:
    """why: what is wrong, or what was seen."""

    ok: bool
    why: str


def judge(m: Measurement, known: Baseline | None) -> Verdict:
    """The verdict on a golden run; without a baseline its output alone decides.

    A wrong clock is a bench failure already (farm.board_clock), a drift of cycles shows wait
    states, caches or interrupts that are not what they were.
    """
    if m.status != "ok":
        return Verdict(False, f"the golden image gave {m.status.replace('_', ' ')}: {m.message}")
    if known is None:
        return Verdict(True, f"{m.cycles} cycles; no baseline yet")
    off = m.cycles - known.cycles
    allowed = max(TOLERANCE_PERCENT / 100 * known.cycles, TOLERANCE_CYCLES,
                  TOLERANCE_IQRS * m.iqr_cycles)  # fmt: skip
    percent = 100 * off / known.cycles
    seen = f"{m.cycles} cycles, {percent:+.2f} % off the {known.cycles} of {known.source}"
    if abs(off) > allowed:
        return Verdict(False, f"the golden image took {seen}")
    return Verdict(True, seen)


def as_run(m: Measurement, verdict: Verdict) -> GoldenRun:
    """The row that is stored of it."""
    token = m.provenance.get("lease_token")
    return GoldenRun(
        board=m.board,
        board_type=m.board_type,
        virtual=m.virtual,
        ok=verdict.ok,
        cycles=m.cycles or None,
        clock_hz=m.clock_measured_hz,
        lease_token=int(token) if token is not None else None,
        detail=verdict.why,
        facts={"image_sha256": m.image_sha256, "kind": kind(m)},
    )
