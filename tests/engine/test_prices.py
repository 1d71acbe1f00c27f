"""The prices that come with the engine are of the kernels that it has."""

import itertools
import json

import pytest
from kernel_cases import cases_of, chosen, pools

from engine.dispatch import KERNELS
from engine.prices import CORES, FAST, LEVELS, Piece, parsed, prices

AGAIN = "run `python -m nas.prices`, and keep what it writes"


@pytest.mark.parametrize("place", list(itertools.product(CORES, LEVELS)))
def test_every_kernel_that_a_network_gets_has_a_price(place):
    names = {row.c_name for row in KERNELS if not row.plain}
    missing = {name for name in names if (*place, name) not in prices().cycles}
    assert not missing, AGAIN


def test_every_count_and_every_function_that_cases_have_is_priced():
    for case in cases_of([*chosen(), *pools()]):
        if case.row.plain:
            continue
        counts = case.row.features(case.graph, case.op)
        for place in itertools.product(CORES, LEVELS):
            cycles = prices().kernel_cycles(*place, case.row.c_name, counts)
            assert cycles is not None, (case.row.c_name, AGAIN)
            assert cycles > 0
        fields = case.row.describe(case.graph, case.op).fields.values()
        named = {case.row.c_name, *(str(f) for f in fields if str(f).startswith("tr_"))}
        assert all(prices().is_function(name) for name in named), (named, AGAIN)


def test_a_count_that_was_never_measured_has_no_price():
    known = dict(prices().cycles[CORES[0], FAST, "tr_add"])
    counts = dict.fromkeys(known, 1.0)
    whole = prices().kernel_cycles(CORES[0], FAST, "tr_add", counts)
    assert whole == pytest.approx(sum(known.values()))
    assert prices().kernel_cycles(CORES[0], FAST, "tr_add", counts | {"new": 0.0}) == whole
    assert prices().kernel_cycles(CORES[0], FAST, "tr_add", counts | {"new": 1.0}) is None
    assert prices().kernel_cycles(CORES[0], FAST, "tr_none", counts) is None


def test_a_file_of_prices_says_what_made_it_and_then_a_line_a_kernel_or_function():
    place = {"core": "cortex-m4", "level": "fast"}
    lines = [
        {"made by": "a test"},
        place | {"kernel": "tr_x", "cycles": {"calls": 40.0}},
        place | {"function": "tr_x", "source": "x.c", "bytes": 60, "calls": ["tr_y"]},
    ]
    found = parsed([json.dumps(line) for line in lines])
    assert found.kernel_cycles("cortex-m4", "fast", "tr_x", {"calls": 2}) == 80
    assert found.pieces["cortex-m4", "fast", "tr_x"] == Piece("x.c", 60, ("tr_y",))
