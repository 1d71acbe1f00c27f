"""The oracle: a numpy executor, bit-exact to TFLite's int8 reference kernels.

Inputs and outputs are int8 [H, W, C] or, batched, [N, H, W, C]. Sums are exact although BLAS
makes them in floating point: they are integers, and the format is chosen so that no partial sum
can leave its range of exact integers (2**24 for float32, 2**53 for float64).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import GraphError
from engine.graph import Graph, Op, Tensor
from engine.numerics import add_parameters, output_multipliers, requantize, wrap_int32
from engine.windows import windows

Int8s = NDArray[np.int8]
Floats = NDArray[np.floating[Any]]

# Elements of an im2col matrix that is built at once: 64 MiB of float64.
CHUNK_ELEMENTS = 1 << 23


def run(graph: Graph, x: Int8s) -> Int8s:
    """The output of `graph` for `x`, batched if `x` is; `GraphError` for a wrong shape or type."""
    return run_all(graph, x)[graph.output]


def run_all(graph: Graph, x: Int8s) -> dict[str, Int8s]:
    """Every tensor of `graph` for the input `x`, batched if `x` is."""
    shape = graph.tensor(graph.input).shape
    if x.dtype != np.int8 or x.ndim not in (3, 4) or x.shape[-3:] != shape:
        raise GraphError(f"network {graph.name!r} takes int8 {shape}, not {x.dtype} {x.shape}")
    values = {graph.input: x if x.ndim == 4 else x[np.newaxis]}
    for op in graph.ops:
        inputs = [values[name] for name in op.inputs]
        values[op.output] = _run_op(graph, op, inputs)
    if x.ndim == 3:
        return {name: value[0] for name, value in values.items()}
    return values


def _run_op(graph: Graph, op: Op, inputs: list[Int8s]) -> Int8s:
    tensors = [graph.tensor(name) for name in op.inputs]
    return EXECUTORS[op.kind](op, inputs, tensors, graph.tensor(op.output))


def _weighted(op: Op, inputs: list[Int8s], tensors: list[Tensor], output: Tensor) -> Int8s:
    """Conv2d, depthwise and fully connected: exact sums, bias, requantisation, clamp."""
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
        result[start : start + step] = _clamped(op, scaled)
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
    assert op.weights is not None
    cells = _windows(op, x)
    total = np.zeros((len(x), *output.shape), x.dtype)
    for row, column in np.ndindex(op.kernel):
        total += cells[..., row, column] * op.weights[row, column].astype(x.dtype)
    return total


def _dense_sums(op: Op, x: Floats, output: Tensor) -> Floats:
    assert op.weights is not None
    sums: Floats = x.reshape(len(x), -1) @ op.weights.T.astype(x.dtype)
    return sums.reshape(len(x), *output.shape)


def _windows(op: Op, x: NDArray[Any]) -> NDArray[Any]:
    return windows(x, op.kernel, op.stride, op.padding)


def _average(op: Op, inputs: list[Int8s], tensors: list[Tensor], output: Tensor) -> Int8s:
    """TFLite's average pool: padding is not counted, halves are rounded away from zero."""
    x = inputs[0].astype(np.int64)
    inside = np.ones((1, *tensors[0].shape[:2], 1), np.int64)
    total = np.zeros((len(x), *output.shape), np.int64)
    count = np.zeros((1, *output.shape[:2], 1), np.int64)
    cells, present = _windows(op, x), _windows(op, inside)
    for row, column in np.ndindex(op.kernel):
        total += cells[..., row, column]
        count += present[..., row, column]
    rounded = (np.abs(total) + count // 2) // count
    return _clamped(op, np.where(total > 0, rounded, -rounded))


def _add(op: Op, inputs: list[Int8s], tensors: list[Tensor], output: Tensor) -> Int8s:
    """TFLite's add, through a table of 256 scaled values for each input."""
    parameters = add_parameters(tensors[0].quant, tensors[1].quant, output.quant)
    factors = (parameters.input1, parameters.input2)
    total = np.zeros(inputs[0].shape, np.int64)
    for x, tensor, factor in zip(inputs, tensors, factors, strict=True):
        every = (np.arange(-128, 128) - tensor.quant.zero_point) << parameters.left_shift
        total += requantize(every, *factor).astype(np.int64)[x.astype(np.int64) + 128]
    scaled = requantize(total, *parameters.output).astype(np.int64)
    return _clamped(op, scaled + output.quant.zero_point)


def _clamped(op: Op, value: NDArray[np.int64]) -> Int8s:
    return np.clip(value, *op.clamp).astype(np.int8)


SUMS: dict[str, Callable[[Op, Floats, Tensor], Floats]] = {
    "conv2d": _conv_sums,
    "depthwise_conv2d": _depthwise_sums,
    "fully_connected": _dense_sums,
}
EXECUTORS: dict[str, Callable[[Op, list[Int8s], list[Tensor], Tensor], Int8s]] = {
    "conv2d": _weighted,
    "depthwise_conv2d": _weighted,
    "fully_connected": _weighted,
    "average_pool2d": _average,
    "add": _add,
}
