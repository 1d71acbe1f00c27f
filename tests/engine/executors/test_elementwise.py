"""Sub and mul against whole numbers, one pair at a time; add is in test_reference.py."""

from fractions import Fraction

import numpy as np
import pytest
from graph_strategies import inputs_of, operators
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.numerics import mul_multiplier, sub_parameters
from engine.reference import run_all

SEEDS = st.integers(0, 2**32 - 1)
MANY = settings(max_examples=25, deadline=None, derandomize=True)


def scaled(value, factor):
    """Rounded half up, then half away from zero."""
    multiplier, shift = factor
    high = (Fraction(value * 2 ** max(shift, 0) * multiplier, 2**31) + Fraction(1, 2)).__floor__()
    magnitude = (Fraction(abs(high), 2 ** max(-shift, 0)) + Fraction(1, 2)).__floor__()
    return magnitude if high >= 0 else -magnitude


def difference(quants):
    p = sub_parameters(*quants)
    return lambda a, b: scaled(scaled(a << 20, p.input1) - scaled(b << 20, p.input2), p.output)


def product(quants):
    factor = mul_multiplier(*quants)
    return lambda a, b: scaled(a * b, factor)


@pytest.mark.parametrize(("kind", "pairs"), [("sub", difference), ("mul", product)])
def test_values_broadcast_and_are_scaled_without_their_zero_points(kind, pairs):
    @MANY
    @given(operators(kind), SEEDS)
    def check(graph, seed):
        values, op = run_all(graph, inputs_of(graph, seed)), graph.ops[0]
        quants = [graph.tensor(name).quant for name in (*op.inputs, "out")]
        wanted_of = pairs(quants)
        sides = np.broadcast_arrays(*(values[name] for name in op.inputs))
        for a, b, y in zip(*(part.flat for part in (*sides, values["out"])), strict=True):
            value = wanted_of(int(a) - quants[0].zero_point, int(b) - quants[1].zero_point)
            assert y == min(max(value + quants[2].zero_point, op.clamp[0]), op.clamp[1])

    check()
