"""Failures of the bench are not failures of the test: they are reported as errors.

Such a report has the phase "bench" instead of "call", so that the summary, JUnit files and
xdist count an error; exit codes stay pytest's own. The property `outcome_kind` is `bench` then.
"""

from collections.abc import Sequence

import pytest

from farm.errors import BoardsBusyError, FarmError, NoBoardError

KIND = "outcome_kind"
BENCH = "bench"
_OF_THE_BENCH = {FarmError.exit_code, BoardsBusyError.exit_code, NoBoardError.exit_code}


def is_of_bench(error: BaseException) -> bool:
    """Whether boards, this host or its disk are to blame, and nothing that a test could judge."""
    return isinstance(error, FarmError) and error.exit_code in _OF_THE_BENCH


def add_properties(
    item: pytest.Item, report: pytest.TestReport, properties: Sequence[tuple[str, object]]
) -> None:
    """Record properties with the test, each once; the last report of a test goes to JUnit."""
    new = [entry for entry in properties if entry not in item.user_properties]
    item.user_properties += new
    report.user_properties += new


def note_bench_error(
    item: pytest.Item, report: pytest.TestReport, call: pytest.CallInfo[None]
) -> None:
    """Turn a test that an error of the farm ended into an error."""
    if not report.failed or call.excinfo is None or not is_of_bench(call.excinfo.value):
        return
    add_properties(item, report, [(KIND, BENCH)])
    why = f"{type(call.excinfo.value).__name__}: {call.excinfo.value}"
    report.sections.insert(0, ("bench error, says nothing about what is tested", why))
    if report.when == "call":
        vars(report)["when"] = BENCH  # JUnit and the summary know three phases; only call can fail


def status(report: pytest.TestReport | pytest.CollectReport) -> tuple[str, str, str] | None:
    """How an error of the bench is counted and shown; files that cannot be imported are others'."""
    tested = isinstance(report, pytest.TestReport)
    if tested and report.failed and (KIND, BENCH) in report.user_properties:
        return "error", "E", "BENCH ERROR"
    return None
