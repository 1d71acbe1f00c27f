"""QUANTIZE and DEQUANTIZE: between int8 tensors, and at the border of the network.

The graph's inputs and outputs are int8. A float32 input that is quantised, and a float32 output
that is made from int8, are those int8 tensors; a uint8 one is the int8 tensor 128 below it.
"""

from __future__ import annotations

from engine.errors import UnsupportedError
from engine.load.records import TensorRecord
from engine.load.step import Step
from engine.load.tensors import FLOAT32, INT8, UINT8, activation_quant

SUPPORTED = (
    "supported: int8 to int8, float32 and uint8 inputs of the network to int8, int8 to its float32 "
    "and uint8 outputs"
)


def quantize(step: Step) -> None:
    """int8 -> int8 is a requantisation; beside the border only the quantisation may change."""
    source, target = step.record(0), step.output_record()
    if source.dtype == INT8:
        _from_int8(step, target)
    elif target.dtype == INT8 and source.index in step.network.file.inputs:
        _from_input(step, source, target)
    else:
        raise _refusal(source, target)


def dequantize(step: Step) -> None:
    """int8 -> a float32 output of the network: the int8 tensor is the output."""
    source, target = step.record(0), step.output_record()
    is_output = target.index in step.network.file.outputs
    if source.dtype != INT8 or target.dtype != FLOAT32 or not is_output:
        raise _refusal(source, target)
    step.make(target, step.activation())


def _from_int8(step: Step, target: TensorRecord) -> None:
    source = step.activation()
    if target.dtype == INT8:
        step.add("requantize", (source,), step.output())
    elif target.dtype == UINT8 and target.index in step.network.file.outputs:
        if source.quant != activation_quant(target):
            output = step.network.declare(target.index)
            step.add("requantize", (source,), output)
            source = output
        step.make(target, source)
    else:
        raise _refusal(step.record(0), target)


def _from_input(step: Step, source: TensorRecord, target: TensorRecord) -> None:
    made, quant = step.network.made, activation_quant(target)
    if source.index not in made:
        if source.dtype not in (FLOAT32, UINT8):
            raise _refusal(source, target)
        seen = quant if source.dtype == FLOAT32 else activation_quant(source)
        made[source.index] = step.network.declare(source.index, seen)
    if made[source.index].quant == quant:
        step.make(target, made[source.index])
    elif source.dtype == UINT8:
        step.add("requantize", (made[source.index],), step.output())
    else:
        raise UnsupportedError(f"input {source.name!r} is quantised in two ways; supported: one")


def _refusal(source: TensorRecord, target: TensorRecord) -> UnsupportedError:
    return UnsupportedError(f"it goes from {source.type_name} to {target.type_name}; {SUPPORTED}")
