"""Errors carry what the command line and the retry logic need."""

import pytest

from farm import errors


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.InventoryError("x"), 2),
        (errors.NoBoardError("x"), 69),
        (errors.BoardsBusyError("x"), 75),
        (errors.BenchError("x"), 70),
        (errors.ImageError("x"), 1),
        (errors.ProbeMissingError("x"), 69),
        (errors.ConsoleError("x"), 70),
    ],
)
def test_each_kind_has_its_exit_code(error, code):
    assert error.exit_code == code
    assert isinstance(error, errors.FarmError)


def test_a_bench_error_names_its_board_once():
    assert str(errors.BenchError("probe gone", "f412-01")) == "f412-01: probe gone"
    assert str(errors.BenchError("f412-01: probe gone", "f412-01")) == "f412-01: probe gone"
    assert errors.BenchError("x", "b").board == "b"
    assert str(errors.BenchError("none by location", "loc")) == "loc: none by location"


def test_an_image_error_tells_too_big_from_broken():
    assert not errors.ImageError("no compiler").too_big
    error = errors.ImageError("4 KiB too much", too_big=True, flash_bytes=9, static_ram_bytes=7)
    assert (error.too_big, error.flash_bytes, error.static_ram_bytes) == (True, 9, 7)
