"""Fused activations as int8 ranges, rounded as TFLite rounds them."""

import math

import pytest
from tflite import ActivationFunctionType as Function

from engine.errors import UnsupportedError
from engine.graph import Quant
from engine.load.activation import clamp, fused_clamp


@pytest.mark.parametrize(
    ("function", "scale", "zero", "held"),
    [
        (Function.NONE, 0.5, 3, (-128, 127)),
        (Function.RELU, 0.5, 3, (3, 127)),
        (Function.RELU, 0.5, -128, (-128, 127)),
        (Function.RELU6, 0.5, 3, (3, 15)),
        (Function.RELU6, 6 / 255, -128, (-128, 127)),
        (Function.RELU6, 0.01, 100, (100, 127)),
        (Function.RELU_N1_TO_1, 0.5, 3, (1, 5)),
        (Function.RELU_N1_TO_1, 2.0, 0, (-1, 1)),  # half is rounded away from zero
        (Function.RELU6, 4.0, 0, (0, 2)),
        (Function.RELU6, 1e9, 7, (7, 7)),
    ],
)
def test_ranges(function, scale, zero, held):
    assert fused_clamp(function, Quant(scale, zero)) == held


def test_the_quotient_is_of_single_precision():
    scale = 2.4000000953674316  # 6 / scale is 2.4999999 in double precision, 2.5 in single
    assert fused_clamp(Function.RELU6, Quant(scale, 0)) == (0, 3)


def test_a_quotient_of_more_than_31_bits_is_refused():
    with pytest.raises(UnsupportedError, match="too small for an activation that ends at 6"):
        clamp((0.0, 6.0), Quant(1e-9, 0))
    assert clamp((0.0, math.inf), Quant(1e-38, 0)) == (0, 127)
