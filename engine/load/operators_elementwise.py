"""ADD, SUB, MUL and the functions of one value: RELU and its kin, LOGISTIC, HARD_SWISH, SOFTMAX."""

from __future__ import annotations

from collections.abc import Callable

from tflite import ActivationFunctionType as Function

from engine.errors import UnsupportedError
from engine.graph import Quant, Tensor
from engine.load.activation import RANGES, clamp, fused_clamp
from engine.load.step import Step
from engine.options import Softmax

PROBABILITY = Quant(1 / 256, -128)
"""What TFLite demands of the output of SOFTMAX and LOGISTIC."""


def binary(kind: str) -> Callable[[Step], None]:
    """The importer of an operator of two operands, one of which may be constant."""

    def convert(step: Step) -> None:
        operands = step.operand(0), step.operand(1)
        if step.is_constant(0) and step.is_constant(1):
            raise UnsupportedError("both operands are constants; supported: one")
        output = step.output()
        limits = fused_clamp(step.option("FusedActivationFunction"), output.quant)
        step.add(kind, operands, output, clamp=limits)

    return convert


def relu(function: int) -> Callable[[Step], None]:
    """The importer of a standalone activation; it may change the quantisation as well.

    LiteRT's reference rescales to the output's quantisation and rounds the ends of the range as
    for a fused activation. TensorFlow Lite Micro does so for RELU alone: its RELU6 clamps and
    forgets to rescale, so the two agree only where input and output are quantised alike.
    """

    def convert(step: Step) -> None:
        source, output = step.activation(), step.output()
        step.add("relu", (source,), output, clamp=clamp(RANGES[function], output.quant))

    return convert


def hard_swish(step: Step) -> None:
    """x * relu6(x + 3) / 6."""
    step.add("hard_swish", (step.activation(),), step.output())


def logistic(step: Step) -> None:
    """1 / (1 + exp(-x))."""
    source, output = step.activation(), step.output()
    _require_probability(output)
    step.add("logistic", (source,), output)


def softmax(step: Step) -> None:
    """Over the last axis."""
    source, output = step.activation(), step.output()
    _require_probability(output)
    step.add("softmax", (source,), output, options=Softmax(step.operator.options["Beta"]))


def _require_probability(output: Tensor) -> None:
    if output.quant != PROBABILITY:
        raise UnsupportedError(
            f"its output has scale {output.quant.scale:.9g} and zero point "
            f"{output.quant.zero_point}; supported: 1/256 and -128"
        )


RELU, RELU6, RELU_N1_TO_1 = (
    relu(function) for function in (Function.RELU, Function.RELU6, Function.RELU_N1_TO_1)
)
