"""What ends a test: the bench and its host are told apart from what is tested."""

import pytest

from farm import errors
from farm.plugin.outcome import is_of_bench, status


@pytest.mark.parametrize(
    ("error", "is_so"),
    [
        (errors.BenchError("no answer"), True),
        (errors.ProbeMissingError("not plugged in"), True),
        (errors.BoardsBusyError("held"), True),
        (errors.NoBoardError("none"), True),
        (errors.FarmError("the results database is on a full disk"), True),
        (errors.ImageError("too big", too_big=True), False),
        (errors.InventoryError("no such board"), False),
        (AssertionError("wrong output"), False),
    ],
)
def test_the_bench_is_to_blame_for_its_own_errors_alone(error, is_so):
    assert is_of_bench(error) is is_so


def test_a_file_that_cannot_be_imported_is_no_error_of_the_bench():
    assert status(pytest.CollectReport("test_broken.py", "failed", "ImportError", [])) is None
