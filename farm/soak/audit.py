"""What is in the store after an ordeal, held against what was done to it."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from farm.measure import Measurement
from farm.scheduling.ledger import FINAL, JOB_ID
from farm.soak.ordeal_work import EXPECTED
from farm.soak.strikes import WORKER_KILL, Struck, explains
from farm.soak.verdict import Finding


@dataclass
class Account:
    """Every job of an ordeal by what became of it; ids, or sentences for what is wrong."""

    measured: int = 0
    failed: int = 0
    attempts: int = 0
    failures: int = 0
    open: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    too_often: list[str] = field(default_factory=list)
    untrue: list[str] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)  # of failed attempts, without numbers

    def findings(self, *, finished: bool) -> list[Finding]:
        """Each may be 0 at most; a job is lost if it has not ended although all were done."""
        return [
            Finding("jobs lost", len(self.open) if finished else 0, 0),
            Finding("jobs measured twice", len(self.twice), 0),
            Finding("wrong results stored", len(self.wrong), 0),
            Finding("jobs tried more often than allowed", len(self.too_often), 0),
            Finding("failures with a reason that is not true", len(self.untrue), 0),
        ]


def account(
    rows: Sequence[Measurement],
    wanted: Sequence[str],
    struck: Sequence[Struck],
    retries: int,
    flagged: Collection[str] = (),
) -> Account:
    """Go through every row of every job; of those that are `flagged`, the last result counts."""
    cycles = {_what(m): m.cycles for m in rows if _id(m).startswith(EXPECTED) and m.status == "ok"}
    of_job: dict[str, list[Measurement]] = defaultdict(list)
    for m in rows:
        of_job[_id(m)].append(m)
    kills = [each for each in struck if each.kind == WORKER_KILL]
    at: dict[tuple[str, str], list[Struck]] = defaultdict(list)
    for each in struck:
        at[each.job, each.board].append(each)
    found = Account()
    for job in wanted:
        again = job in flagged  # what drifted is measured again, and may fail once more
        counted = _with_last_result(of_job[job]) if again else of_job[job]
        _job(found, job, counted, cycles, retries + again)
        for m in of_job[job]:
            if m.status == "bench_failure":
                _reason(found, job, m, at[job, m.board], kills)
    return found


def _reason(
    found: Account, job: str, m: Measurement, here: Sequence[Struck], kills: Sequence[Struck]
) -> None:
    found.reasons[_in_words(m)] += 1
    if not explains([*here, *kills], m.message):
        kinds = ", ".join(each.kind for each in here) or "no fault"
        found.untrue.append(f"{job} on {m.board} ({kinds}): {m.message}")


def _in_words(m: Measurement) -> str:
    """What many failures say alike: the first clause, its numbers and names left out."""
    said = m.message.removeprefix(f"{m.board}: ").replace(m.board, "BOARD")
    said = re.split(r";| after flashing| \(", said, maxsplit=1)[0]
    return re.sub(r"0x[0-9a-f]+|\b[\d.]+\b|/\S+|virtual:\S+", "N", said)


def _job(
    found: Account,
    job: str,
    rows: Sequence[Measurement],
    cycles: dict[tuple[str, ...], int],
    retries: int,
) -> None:
    results = [m for m in rows if m.status != "bench_failure"]
    failures = [m for m in rows if m.status == "bench_failure"]
    found.attempts += len(rows)
    found.failures += len(failures)
    if len(results) == 1:
        found.measured += 1
    elif results:
        found.twice.append(job)
    elif any(FINAL in m.provenance for m in failures):
        found.failed += 1
    else:
        found.open.append(job)
    if len(failures) > retries + 1 - bool(results):
        found.too_often.append(job)
    for m in results:
        if m.status != "ok" or m.cycles != cycles.get(_what(m)):
            right = cycles.get(_what(m))
            found.wrong.append(f"{job} on {m.board}: {m.status}, {m.cycles} cycles, not {right}")


def _with_last_result(rows: Sequence[Measurement]) -> list[Measurement]:
    failures = [m for m in rows if m.status == "bench_failure"]
    return failures + [m for m in rows if m.status != "bench_failure"][-1:]


def _id(m: Measurement) -> str:
    return str(m.provenance.get(JOB_ID, ""))


def _what(m: Measurement) -> tuple[str, ...]:
    model = str(m.provenance.get("model_sha256", ""))
    return model, m.board_type, m.input_sha256, m.expected_sha256
