"""The rules a `Graph` and its parts must keep; each broken one is a `GraphError`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from engine.errors import GraphError
from engine.function_parameters import CHECKS
from engine.numerics import add_parameters, mul_multiplier, output_multipliers, sub_parameters
from engine.options import OPTIONS
from engine.shapes import OP_KINDS, output_shape

if TYPE_CHECKING:
    from engine.graph import Graph, Op, Quant, Tensor

WEIGHT_RANK = {"conv2d": 4, "depthwise_conv2d": 3, "fully_connected": 2}
WINDOW_KINDS = ("conv2d", "depthwise_conv2d", "average_pool2d", "max_pool2d")
BINARY_FACTORS: dict[str, Callable[[Quant, Quant, Quant], object]] = {
    "add": add_parameters,
    "sub": sub_parameters,
    "mul": mul_multiplier,
}
BINARY_KINDS = tuple(BINARY_FACTORS)
CONSTANT_KINDS = (*BINARY_KINDS, "concat")
"""Kinds that may read a constant tensor."""
KEEPING_KINDS = (
    "average_pool2d", "max_pool2d", "pad", "reshape", "transpose", "concat", "resize_nearest",
    "slice",
)  # fmt: skip
"""Kinds whose output has the quantisation of each input."""
CLAMPLESS_KINDS = (
    "pad", "reshape", "transpose", "concat", "resize_nearest", "slice", "softmax",
)  # fmt: skip
"""Kinds without a fused activation."""
MAX_CONCAT = 64


def require_int(what: str, value: object, low: int, high: int) -> None:
    """Refuse anything but a Python int of the closed range."""
    if type(value) is not int or not low <= value <= high:
        raise GraphError(f"{what} is {value!r}, not an integer of {low}..{high}")


def require_name(what: str, name: object) -> None:
    """Refuse anything but a non-empty string that can be printed and stored as UTF-8."""
    if not (isinstance(name, str) and name):
        raise GraphError(f"{what} name {name!r} is not a non-empty string")
    if any("\ud800" <= letter <= "\udfff" for letter in name):
        raise GraphError(f"{what} name {name!r} has half a character, which UTF-8 cannot hold")


def check_op(op: Op) -> None:
    """Check what an operator says by itself, before its tensors are known."""
    where = f"operator {op.name!r}"
    require_name("operator", op.name)
    if op.kind not in OP_KINDS:
        raise GraphError(f"{where} has kind {op.kind!r}, not one of {', '.join(OP_KINDS)}")
    _check_inputs(op, where)
    if not all(isinstance(name, str) for name in (*op.inputs, op.output)):
        raise GraphError(f"{where} has a tensor name that is not a string")
    _check_pair(f"{where}: kernel", op.kernel, 1, 4096)
    _check_pair(f"{where}: stride", op.stride, 1, 4096)
    _check_pair(f"{where}: dilation", op.dilation, 1, 4096)
    _check_pair(f"{where}: clamp", op.clamp, -128, 127)
    if type(op.options) is not OPTIONS.get(op.kind, type(None)):
        raise GraphError(f"{where} ({op.kind}) has options {op.options!r}")
    if op.clamp[0] > op.clamp[1]:
        raise GraphError(f"{where}: clamp {op.clamp} is empty")
    if op.kind in CLAMPLESS_KINDS and op.clamp != (-128, 127):
        raise GraphError(f"{where} ({op.kind}) has a clamp")
    _check_window(op)
    _check_arrays(op)


def _check_inputs(op: Op, where: str) -> None:
    most = MAX_CONCAT if op.kind == "concat" else 1 + (op.kind in BINARY_KINDS)
    least = 1 if op.kind == "concat" else most
    if not isinstance(op.inputs, tuple):
        raise GraphError(f"{where} ({op.kind}) has inputs {op.inputs!r}, not a tuple of names")
    if not least <= len(op.inputs) <= most:
        count = len(op.inputs)
        raise GraphError(f"{where} ({op.kind}) has {count} inputs, needs {least}..{most}")


def _check_pair(what: str, pair: tuple[int, int], low: int, high: int) -> None:
    if not (isinstance(pair, tuple) and len(pair) == 2):
        raise GraphError(f"{what} is {pair!r}, not a pair")
    for value in pair:
        require_int(what, value, low, high)


def _check_window(op: Op) -> None:
    pad = op.padding
    if op.kind not in WINDOW_KINDS:
        plain = op.kernel == op.stride == op.dilation == (1, 1)
        if not plain or any(vars(pad).values()):
            raise GraphError(f"operator {op.name!r} ({op.kind}) has a kernel, stride or padding")
        return
    if op.kind not in WEIGHT_RANK and op.dilation != (1, 1):
        raise GraphError(f"operator {op.name!r} ({op.kind}) has a dilation")
    rows, columns = op.reach
    if max(pad.top, pad.bottom) >= rows or max(pad.left, pad.right) >= columns:
        raise GraphError(f"operator {op.name!r}: padding {pad} is not less than kernel {op.kernel}")


def _check_arrays(op: Op) -> None:
    where = f"operator {op.name!r} ({op.kind})"
    arrays = {"weights": op.weights, "weight_scales": op.weight_scales, "bias": op.bias}
    if op.kind not in WEIGHT_RANK:
        if any(array is not None for array in arrays.values()):
            raise GraphError(f"{where} has weights, scales or a bias")
        return
    types = {"weights": np.int8, "weight_scales": np.float64, "bias": np.int32}
    for field, array in arrays.items():
        if not isinstance(array, np.ndarray) or array.dtype != types[field]:
            raise GraphError(f"{where}: {field} is not an array of {types[field].__name__}")
    _check_array_shapes(op, where)


def _check_array_shapes(op: Op, where: str) -> None:
    assert op.weights is not None
    assert op.weight_scales is not None
    assert op.bias is not None
    shape = op.weights.shape
    if len(shape) != WEIGHT_RANK[op.kind] or op.weights.size == 0:
        raise GraphError(f"{where}: weights have shape {shape}")
    spans = {"conv2d": shape[1:3], "depthwise_conv2d": shape[:2], "fully_connected": (1, 1)}
    if spans[op.kind] != op.kernel:
        raise GraphError(f"{where}: weights {shape} do not fit kernel {op.kernel}")
    channels = shape[-1] if op.kind == "depthwise_conv2d" else shape[0]
    if op.weight_scales.shape != (channels,) or op.bias.shape != (channels,):
        raise GraphError(f"{where}: scales and bias must have {channels} values")
    if not (np.isfinite(op.weight_scales).all() and (op.weight_scales > 0).all()):
        raise GraphError(f"{where}: a weight scale is not positive and finite")


def check_graph(graph: Graph) -> None:
    """Check names, order, shapes and quantisation of a whole network."""
    tensors = _tensors_by_name(graph)
    _check_constants(graph, tensors)
    names = [op.name for op in graph.ops]
    if not names or len(set(names)) != len(names):
        raise GraphError(f"network {graph.name!r} has no operators, or two of one name")
    made = {*graph.inputs, *graph.constants}
    used: set[str] = set()
    for op in graph.ops:
        _check_order(op, made, graph.constants, tensors)
        made.add(op.output)
        used.update(op.inputs)
        check_fit(op, [tensors[name] for name in op.inputs], tensors[op.output])
    for name in tensors:
        if name not in made or not (name in used or name in graph.outputs):
            raise GraphError(f"tensor {name!r} is never made or never read")


def _check_order(
    op: Op, made: set[str], constants: Mapping[str, object], tensors: Mapping[str, Tensor]
) -> None:
    for name in op.inputs:
        if name not in made:
            raise GraphError(f"operator {op.name!r} reads {name!r} before it is made")
        if name in constants and op.kind not in CONSTANT_KINDS:
            raise GraphError(f"operator {op.name!r} ({op.kind}) reads the constant {name!r}")
    if op.output in made or op.output not in tensors:
        raise GraphError(f"operator {op.name!r} writes {op.output!r}: unknown or made twice")


def _check_constants(graph: Graph, tensors: Mapping[str, Tensor]) -> None:
    for name, values in graph.constants.items():
        if name not in tensors or name in (*graph.inputs, *graph.outputs):
            raise GraphError(f"constant {name!r} has no tensor, or is an input or output")
        if not isinstance(values, np.ndarray) or values.dtype != np.int8:
            raise GraphError(f"constant {name!r} is not an array of int8")
        if values.shape != tensors[name].shape:
            raise GraphError(f"constant {name!r} is {values.shape}, its tensor is not")


def _tensors_by_name(graph: Graph) -> dict[str, Tensor]:
    tensors = {tensor.name: tensor for tensor in graph.tensors}
    require_name("network", graph.name)
    if len(tensors) != len(graph.tensors):
        raise GraphError(f"network {graph.name!r} has two tensors of one name")
    for what, names in (("inputs", graph.inputs), ("outputs", graph.outputs)):
        if not isinstance(names, tuple) or not names:
            raise GraphError(f"network {graph.name!r} has {what} {names!r}, not a tuple of names")
        for name in names:
            if not isinstance(name, str) or name not in tensors:
                raise GraphError(f"network {graph.name!r} has no tensor {name!r}")
        if len(set(names)) != len(names):
            raise GraphError(f"network {graph.name!r} has one tensor twice in its {what}")
    if set(graph.inputs) & set(graph.outputs):
        raise GraphError(f"network {graph.name!r} has one tensor as input and output")
    return tensors


def check_fit(op: Op, inputs: list[Tensor], output: Tensor) -> None:
    """Check shapes and quantisation around one operator."""
    wanted = output_shape(op, inputs, output.shape)
    if output.shape != wanted:
        raise GraphError(
            f"operator {op.name!r} ({op.kind}) makes {wanted} from {inputs[0].shape}, "
            f"but its output {output.name!r} has {output.shape}"
        )
    if op.kind in KEEPING_KINDS and any(tensor.quant != output.quant for tensor in inputs):
        raise GraphError(f"operator {op.name!r}: {op.kind} keeps its input's quantisation")
    try:
        _check_factors(op, [tensor.quant for tensor in inputs], output.quant)
        if op.kind in CHECKS:
            CHECKS[op.kind](op, inputs[0], output)
    except GraphError as error:
        raise GraphError(f"operator {op.name!r}: {error}") from error


def _check_factors(op: Op, inputs: list[Quant], output: Quant) -> None:
    """Make the factors of the requantisation once, so that nobody meets a bad one later."""
    if op.kind in BINARY_KINDS:
        BINARY_FACTORS[op.kind](inputs[0], inputs[1], output)
    elif op.kind in WEIGHT_RANK:
        output_multipliers(op, inputs[0], output)
