"""The options of each operator that the importer reads: one row an operator.

Names are those of the accessors that TensorFlow's schema compiler makes (package `tflite`).
An operator without a row has no option that matters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tflite
from tflite import BuiltinOperator as Code
from tflite import BuiltinOptions as Union


@dataclass(frozen=True)
class OptionFields:
    """The table that holds an operator's options, its tag in the union, and what is read."""

    table: Any
    tag: int
    fields: tuple[str, ...]


_ACTIVATION = ("FusedActivationFunction",)
_WINDOW = ("Padding", "StrideH", "StrideW")
_DILATED = (*_WINDOW, "DilationHFactor", "DilationWFactor", *_ACTIVATION)
_POOL = OptionFields(
    tflite.Pool2DOptions,
    Union.Pool2DOptions,
    (*_WINDOW, "FilterHeight", "FilterWidth", *_ACTIVATION),
)

OPTION_FIELDS: dict[int, OptionFields] = {
    Code.CONV_2D: OptionFields(tflite.Conv2DOptions, Union.Conv2DOptions, _DILATED),
    Code.DEPTHWISE_CONV_2D: OptionFields(
        tflite.DepthwiseConv2DOptions,
        Union.DepthwiseConv2DOptions,
        (*_DILATED, "DepthMultiplier"),
    ),
    Code.FULLY_CONNECTED: OptionFields(
        tflite.FullyConnectedOptions,
        Union.FullyConnectedOptions,
        ("WeightsFormat", *_ACTIVATION),
    ),
    Code.ADD: OptionFields(tflite.AddOptions, Union.AddOptions, _ACTIVATION),
    Code.SUB: OptionFields(tflite.SubOptions, Union.SubOptions, _ACTIVATION),
    Code.MUL: OptionFields(tflite.MulOptions, Union.MulOptions, _ACTIVATION),
    Code.AVERAGE_POOL_2D: _POOL,
    Code.MAX_POOL_2D: _POOL,
    Code.CONCATENATION: OptionFields(
        tflite.ConcatenationOptions, Union.ConcatenationOptions, ("Axis", *_ACTIVATION)
    ),
    Code.SOFTMAX: OptionFields(tflite.SoftmaxOptions, Union.SoftmaxOptions, ("Beta",)),
    Code.RESIZE_NEAREST_NEIGHBOR: OptionFields(
        tflite.ResizeNearestNeighborOptions,
        Union.ResizeNearestNeighborOptions,
        ("AlignCorners", "HalfPixelCenters"),
    ),
    Code.STRIDED_SLICE: OptionFields(
        tflite.StridedSliceOptions,
        Union.StridedSliceOptions,
        ("BeginMask", "EndMask", "EllipsisMask", "NewAxisMask", "ShrinkAxisMask", "Offset"),
    ),
}
