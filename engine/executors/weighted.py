"""Conv2d, depthwise conv2d and fully connected: exact sums, bias, requantisation, clamp.

Sums are exact although BLAS makes them in floating point: they are integers, and the format is
chosen so that no partial sum can leave its range of exact integers (2**24 for float32, 2**53 for
float64).

LiteRT's reference kernels and TensorFlow Lite Micro agree on both convolutions. A fully connected
operator LiteRT rounds once, in floating point, and TensorFlow Lite Micro twice, as convolutions:
their outputs may differ by one, and the latter is followed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.executors import Executor, Int8s, clamped
from engine.graph import Op, Tensor
from engine.numerics import output_multipliers, requantize, wrap_int32
from engine.windows import windows

Floats = NDArray[np.floating[Any]]

# Elements of an im2col matrix that is built at once: 64 MiB of float64.
CHUNK_ELEMENTS = 1 << 23


def weighted(op: Op, inputs: list[Int8s], tensors: list[Tensor], output: Tensor) -> Int8s:
    """Conv2d, depthwise and fully connected."""
    assert op.bias is not None
    quant = tensors[0].quant
    multiplier, shift = output_multipliers(op, quant, output.quant)
    exact = _exact_type(op, quant.zero_point)
    result = np.empty((len(inputs[0]), *output.shape), np.int8)
    step = max(1, CHUNK_ELEMENTS // _work_elements(op, tensors[0], output))
    for start in range(0, len(result), step):
        centred = inputs[0][start : start + step].astype(np.int16) - quant.zero_point
        x = centred.astype(exact)
        sums = SUMS[op.kind](op, x, output).astype(np.int64)
        acc = wrap_int32(sums + op.bias)
        scaled = requantize(acc, multiplier, shift).astype(np.int64) + output.quant.zero_point
        result[start : start + step] = clamped(op, scaled)
    return result


def _exact_type(op: Op, zero_point: int) -> np.dtype[np.floating[Any]]:
    """The smallest float that holds every partial sum of `op` exactly."""
    assert op.weights is not None
    widest = max(127 - zero_point, zero_point + 128)
    axes = (0, 1) if op.kind == "depthwise_conv2d" else tuple(range(1, op.weights.ndim))
    bound = widest * int(np.abs(op.weights.astype(np.int64)).sum(axis=axes).max())
    return np.dtype(np.float32 if bound < 1 << 24 else np.float64)


def _work_elements(op: Op, source: Tensor, output: Tensor) -> int:
    """Elements that one image needs in the widest intermediate array."""
    rows, columns = op.kernel
    height, width, channels = output.shape
    im2col = height * width * rows * columns * source.shape[2] if op.kind == "conv2d" else 0
    return max(im2col, height * width * channels, source.size)


def _conv_sums(op: Op, x: Floats, output: Tensor) -> Floats:
    # weights [Cout, KH, KW, Cin]; windows [N, H, W, C, KH, KW]
    assert op.weights is not None
    patches = _windows(op, x).transpose(0, 1, 2, 4, 5, 3)
    matrix = patches.reshape(-1, op.weights[0].size)
    weights = op.weights.reshape(len(op.weights), -1).astype(x.dtype)
    sums: Floats = matrix @ weights.T
    return sums.reshape(len(x), *output.shape)


def _depthwise_sums(op: Op, x: Floats, output: Tensor) -> Floats:
    # weights [KH, KW, C * M]; output channel c * M + m reads input channel c
    assert op.weights is not None
    cells = _windows(op, x)[..., np.newaxis, :, :]
    weights = op.weights.reshape(*op.kernel, x.shape[-1], -1).astype(x.dtype)
    total = np.zeros((len(x), *output.shape[:2], *weights.shape[2:]), x.dtype)
    for row, column in np.ndindex(op.kernel):
        total += cells[..., row, column] * weights[row, column]
    return total.reshape(len(x), *output.shape)


def _dense_sums(op: Op, x: Floats, output: Tensor) -> Floats:
    assert op.weights is not None
    sums: Floats = x.reshape(len(x), -1) @ op.weights.T.astype(x.dtype)
    return sums.reshape(len(x), *output.shape)


def _windows(op: Op, x: Floats) -> Floats:
    return windows(x, op.kernel, op.stride, op.padding, op.dilation)


SUMS: dict[str, Callable[[Op, Floats, Tensor], Floats]] = {
    "conv2d": _conv_sums,
    "depthwise_conv2d": _depthwise_sums,
    "fully_connected": _dense_sums,
}
EXECUTORS: dict[str, Executor] = dict.fromkeys(SUMS, weighted)
