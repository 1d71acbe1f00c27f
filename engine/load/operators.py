"""Which operators of TFLite become what: one row a builtin code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tflite import BuiltinOperator as Code

from engine.load import operators_elementwise as elementwise
from engine.load import operators_interface as interface
from engine.load import operators_movement as movement
from engine.load import operators_pools as pools
from engine.load import operators_slices as slices
from engine.load import operators_weighted as weighted
from engine.load.step import Step


@dataclass(frozen=True)
class OperatorRow:
    """How an operator joins the network, and the newest version whose meaning is known.

    Versions up to `newest` differ in the types that they allow, never in what they compute.
    """

    convert: Callable[[Step], None]
    newest: int


OPERATORS: dict[int, OperatorRow] = {
    Code.CONV_2D: OperatorRow(weighted.conv2d, 8),
    Code.DEPTHWISE_CONV_2D: OperatorRow(weighted.depthwise_conv2d, 7),
    Code.FULLY_CONNECTED: OperatorRow(weighted.fully_connected, 13),
    Code.ADD: OperatorRow(elementwise.binary("add"), 5),
    Code.SUB: OperatorRow(elementwise.binary("sub"), 5),
    Code.MUL: OperatorRow(elementwise.binary("mul"), 7),
    Code.AVERAGE_POOL_2D: OperatorRow(pools.average_pool2d, 3),
    Code.MAX_POOL_2D: OperatorRow(pools.max_pool2d, 3),
    Code.MEAN: OperatorRow(pools.mean, 3),
    Code.RESIZE_NEAREST_NEIGHBOR: OperatorRow(pools.resize_nearest, 4),
    Code.PAD: OperatorRow(movement.pad, 4),
    Code.PADV2: OperatorRow(movement.pad, 4),
    Code.RESHAPE: OperatorRow(movement.reshape, 1),
    Code.SQUEEZE: OperatorRow(movement.squeeze, 2),
    Code.EXPAND_DIMS: OperatorRow(movement.squeeze, 1),
    Code.TRANSPOSE: OperatorRow(movement.transpose, 7),
    Code.CONCATENATION: OperatorRow(movement.concat, 4),
    Code.STRIDED_SLICE: OperatorRow(slices.strided_slice, 8),
    Code.SLICE: OperatorRow(slices.slice_, 6),
    Code.SPLIT: OperatorRow(slices.split, 4),
    Code.SPLIT_V: OperatorRow(slices.split_v, 2),
    Code.SOFTMAX: OperatorRow(elementwise.softmax, 3),
    Code.LOGISTIC: OperatorRow(elementwise.logistic, 3),
    Code.HARD_SWISH: OperatorRow(elementwise.hard_swish, 1),
    Code.RELU: OperatorRow(elementwise.RELU, 3),
    Code.RELU6: OperatorRow(elementwise.RELU6, 3),
    Code.RELU_N1_TO_1: OperatorRow(elementwise.RELU_N1_TO_1, 1),
    Code.QUANTIZE: OperatorRow(interface.quantize, 3),
    Code.DEQUANTIZE: OperatorRow(interface.dequantize, 6),
}
