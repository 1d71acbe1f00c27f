"""The numbers that TFLite derives from scales for functions of one int8, softmax and mean.

Each function raises `GraphError` for quantisations that the operator cannot have. Factors are
(multiplier, shift) as `quantize_multiplier` gives them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.errors import GraphError
from engine.numerics import quantize_multiplier
from engine.options import Softmax

if TYPE_CHECKING:
    from engine.graph import Op, Quant, Tensor

Factor = tuple[int, int]

MAX_FACTOR = 1 << 22
"""Steps of int8, up to 255, scaled by less than this fit into 31 bits."""
MAX_MEAN_COUNT = 1 << 23
"""So many steps of int8 sum up to less than 2**31."""
MAX_SOFTMAX_CHANNELS = (1 << 12) - 1
"""TFLite sums up exponentials, each at most 1, in a number of 12 integer bits."""
PROBABILITY = (1 / 256, -128)
"""Scale and zero point that TFLite demands of the output of softmax and logistic."""
LOGISTIC_BITS, SOFTMAX_BITS = 4, 5
"""Integer bits of the fixed-point arguments."""
NO_FACTOR: Factor = (1 << 30, 0)


@dataclass(frozen=True)
class Argument:
    """How steps become the fixed-point argument of a function.

    Only steps nearer to zero than `radius` (softmax: not farther than it) are scaled by `factor`.
    """

    factor: Factor
    radius: int


@dataclass(frozen=True)
class HardSwish:
    """Two 15-bit fractions with their powers of two (to the left): see `hard_swish`."""

    output: Factor
    gate: Factor


def requantize_factor(source: Quant, output: Quant) -> Factor:
    """From steps of `source` to steps of `output`."""
    return _step_factor(source.scale / output.scale)


def relu_factor(source: Quant, output: Quant) -> Factor:
    """The same for a ReLU; LiteRT divides its scales in single precision, others do not."""
    return requantize_factor(source, output)


def mean_factor(source: Tensor, output: Tensor) -> Factor:
    """From a sum of steps to the output, 1 / count included, as TFLite divides it."""
    count = source.size // output.size
    if count > MAX_MEAN_COUNT:
        raise GraphError(f"a mean of {count} elements, over {MAX_MEAN_COUNT}")
    multiplier, shift = requantize_factor(source.quant, output.quant)
    down = min(count.bit_length() - 1, 31 + shift)
    return (multiplier << down) // count, shift - down


def logistic_argument(source: Quant, output: Quant) -> Argument:
    """From steps of `source` to a number of 4 integer bits."""
    _check_probability(output)
    return _argument(source.scale, LOGISTIC_BITS)


def softmax_argument(options: Softmax, source: Tensor, output: Tensor) -> Argument:
    """From steps of `source` above their maximum, times beta, to a number of 5 integer bits."""
    _check_probability(output.quant)
    channels, scale = source.shape[2], source.quant.scale * options.beta
    if channels > MAX_SOFTMAX_CHANNELS:
        raise GraphError(f"a softmax over {channels} channels, at most {MAX_SOFTMAX_CHANNELS} can")
    if not scale * (1 << (31 - SOFTMAX_BITS)) > 1:
        raise GraphError(f"a softmax in steps of {scale!r}: too small")
    return _argument(scale, SOFTMAX_BITS)


def hard_swish_factors(source: Quant, output: Quant) -> HardSwish:
    """Of the value itself, to steps of the output, and of its gate, where 3.0 becomes 2**15.

    LiteRT divides the scales in single precision, which moves a few outputs by one.
    """
    fine = source.scale / 128
    scaled = quantize_multiplier(fine / output.scale)
    if scaled[1] > 0:
        raise GraphError(f"a hard swish cannot go to the output scale {output.scale!r}: too small")
    gate = quantize_multiplier(fine / (3 / (1 << 15)))
    return HardSwish(_halved(scaled), _halved(gate))


def _argument(scale: float, bits: int) -> Argument:
    real = scale * (1 << (31 - bits))
    if real < 0.5:
        raise GraphError(f"a step of {scale!r} is too small for a logistic function")
    if not real < 1 << 30:
        return Argument(NO_FACTOR, 0)
    factor = quantize_multiplier(real)
    return Argument(factor, ((1 << bits) - 1) << (31 - bits) >> factor[1])


def _halved(factor: Factor) -> Factor:
    """The multiplier as a fraction of 15 bits, rounded."""
    return min((factor[0] + (1 << 15)) >> 16, (1 << 15) - 1), factor[1]


def _step_factor(real: float) -> Factor:
    if not real < MAX_FACTOR:
        raise GraphError(f"the input's scale is {real!r} times the output's, not below 2**22")
    return quantize_multiplier(real)


def _check_probability(output: Quant) -> None:
    if (output.scale, output.zero_point) != PROBABILITY:
        raise GraphError(f"its output has {output}, not a scale of 1/256 and zero point of -128")


def _softmax(op: Op, source: Tensor, output: Tensor) -> None:
    assert isinstance(op.options, Softmax)
    softmax_argument(op.options, source, output)


CHECKS: dict[str, Callable[[Op, Tensor, Tensor], object]] = {
    "relu": lambda _op, source, output: relu_factor(source.quant, output.quant),
    "requantize": lambda _op, source, output: requantize_factor(source.quant, output.quant),
    "logistic": lambda _op, source, output: logistic_argument(source.quant, output.quant),
    "hard_swish": lambda _op, source, output: hard_swish_factors(source.quant, output.quant),
    "mean": lambda _op, source, output: mean_factor(source, output),
    "softmax": _softmax,
}
"""What raises `GraphError` for an operator of each kind that could not run."""
