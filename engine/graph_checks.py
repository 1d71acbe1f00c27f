"""The rules a `Graph` and its parts must keep; each broken one is a `GraphError`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from engine.errors import GraphError
from engine.numerics import add_parameters, output_multipliers

if TYPE_CHECKING:
    from engine.graph import Graph, Op, Quant, Tensor

WEIGHT_RANK = {"conv2d": 4, "depthwise_conv2d": 3, "fully_connected": 2}
WINDOW_KINDS = ("conv2d", "depthwise_conv2d", "average_pool2d")
OP_KINDS = (*WEIGHT_RANK, "average_pool2d", "add")


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
    wanted = 2 if op.kind == "add" else 1
    if not isinstance(op.inputs, tuple) or len(op.inputs) != wanted:
        raise GraphError(f"{where} ({op.kind}) has inputs {op.inputs!r}, needs {wanted}")
    if not all(isinstance(name, str) for name in (*op.inputs, op.output)):
        raise GraphError(f"{where} has a tensor name that is not a string")
    _check_pair(f"{where}: kernel", op.kernel, 1, 4096)
    _check_pair(f"{where}: stride", op.stride, 1, 4096)
    _check_pair(f"{where}: clamp", op.clamp, -128, 127)
    if op.clamp[0] > op.clamp[1]:
        raise GraphError(f"{where}: clamp {op.clamp} is empty")
    _check_window(op)
    _check_arrays(op)


def _check_pair(what: str, pair: tuple[int, int], low: int, high: int) -> None:
    if not (isinstance(pair, tuple) and len(pair) == 2):
        raise GraphError(f"{what} is {pair!r}, not a pair")
    for value in pair:
        require_int(what, value, low, high)


def _check_window(op: Op) -> None:
    pad = op.padding
    if op.kind not in WINDOW_KINDS:
        if op.kernel != (1, 1) or op.stride != (1, 1) or any(vars(pad).values()):
            raise GraphError(f"operator {op.name!r} ({op.kind}) has a kernel, stride or padding")
        return
    rows, columns = op.kernel
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
    names = [op.name for op in graph.ops]
    if not names or len(set(names)) != len(names):
        raise GraphError(f"network {graph.name!r} has no operators, or two of one name")
    made = {graph.input}
    used: set[str] = set()
    for op in graph.ops:
        for name in op.inputs:
            if name not in made:
                raise GraphError(f"operator {op.name!r} reads {name!r} before it is made")
        if op.output in made or op.output not in tensors:
            raise GraphError(f"operator {op.name!r} writes {op.output!r}: unknown or made twice")
        made.add(op.output)
        used.update(op.inputs)
        _check_fit(op, [tensors[name] for name in op.inputs], tensors[op.output])
    for name in tensors:
        if name not in made or (name not in used and name != graph.output):
            raise GraphError(f"tensor {name!r} is never made or never read")


def _tensors_by_name(graph: Graph) -> dict[str, Tensor]:
    tensors = {tensor.name: tensor for tensor in graph.tensors}
    require_name("network", graph.name)
    if len(tensors) != len(graph.tensors):
        raise GraphError(f"network {graph.name!r} has two tensors of one name")
    for name in (graph.input, graph.output):
        if not isinstance(name, str) or name not in tensors:
            raise GraphError(f"network {graph.name!r} has no tensor {name!r}")
    if graph.input == graph.output:
        raise GraphError(f"network {graph.name!r} has one tensor as input and output")
    return tensors


def _check_fit(op: Op, inputs: list[Tensor], output: Tensor) -> None:
    wanted = output_shape(op, inputs)
    if output.shape != wanted:
        raise GraphError(
            f"operator {op.name!r} ({op.kind}) makes {wanted} from {inputs[0].shape}, "
            f"but its output {output.name!r} has {output.shape}"
        )
    if op.kind == "average_pool2d" and inputs[0].quant != output.quant:
        raise GraphError(f"operator {op.name!r}: an average pool keeps its input's quantisation")
    try:
        _check_factors(op, [tensor.quant for tensor in inputs], output.quant)
    except GraphError as error:
        raise GraphError(f"operator {op.name!r}: {error}") from error


def _check_factors(op: Op, inputs: list[Quant], output: Quant) -> None:
    """Make the factors of the requantisation once, so that nobody meets a bad one later."""
    if op.kind == "add":
        add_parameters(inputs[0], inputs[1], output)
    elif op.kind in WEIGHT_RANK:
        output_multipliers(op, inputs[0], output)


def output_shape(op: Op, inputs: list[Tensor]) -> tuple[int, int, int]:
    """The shape [H, W, C] that an operator makes of its inputs; `GraphError` if it cannot."""
    height, width, channels = inputs[0].shape
    if op.kind == "add":
        if inputs[0].shape != inputs[1].shape:
            raise GraphError(f"operator {op.name!r} adds {inputs[0].shape} and {inputs[1].shape}")
        return inputs[0].shape
    if op.kind == "fully_connected":
        _check_channels(op, height * width * channels)
        return (1, 1, _cout(op))
    _check_channels(op, channels)
    pad, (rows, columns) = op.padding, op.kernel
    tall = height + pad.top + pad.bottom - rows
    wide = width + pad.left + pad.right - columns
    if tall < 0 or wide < 0:
        raise GraphError(f"operator {op.name!r}: kernel {op.kernel} is larger than its input")
    size = (tall // op.stride[0] + 1, wide // op.stride[1] + 1)
    return (*size, _cout(op) if op.kind == "conv2d" else channels)


def _cout(op: Op) -> int:
    assert op.weights is not None
    return int(op.weights.shape[0])


def _check_channels(op: Op, channels: int) -> None:
    if op.weights is not None and op.weights.shape[-1] != channels:
        raise GraphError(
            f"operator {op.name!r} ({op.kind}): weights {op.weights.shape} "
            f"do not fit {channels} input channels"
        )
