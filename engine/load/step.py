"""One operator of the file on its way into the network: its operands, checked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import GraphError, UnsupportedError
from engine.graph import Op, Tensor
from engine.graph_checks import KEEPING_KINDS, check_fit
from engine.load.network import Network
from engine.load.records import OperatorRecord, TensorRecord
from engine.load.tensors import INT8, INT32, INT64, constant_values
from engine.options import Triple
from engine.shapes import output_shape

MAX_SHOWN = 60  # letters of a name in an error
MAX_INTEGERS = 128  # of a list of axes, sizes or paddings


@dataclass(frozen=True, eq=False)
class Step:
    """An operator and the network that it joins. Operands go by their position."""

    network: Network
    operator: OperatorRecord

    @property
    def where(self) -> str:
        """The operator as errors name it: operator 3 CONV_2D 'output name'."""
        operator = self.operator
        record = self.network.file.tensors.get(operator.outputs[0]) if operator.outputs else None
        name = f" {record.name[:MAX_SHOWN]!r}" if record and record.name else ""
        return f"operator {operator.index} {operator.name}{name}"

    def option(self, name: str) -> int:
        """An option of the operator that is an integer or a flag."""
        return int(self.operator.options[name])

    def has(self, position: int) -> bool:
        """Whether there is an operand at that position; optional ones are -1 or left out."""
        return position < len(self.operator.inputs) and self.operator.inputs[position] >= 0

    def record(self, position: int) -> TensorRecord:
        """The file's tensor of an operand."""
        if not self.has(position):
            raise GraphError(f"it has no input {position}")
        return self.network.record(self.operator.inputs[position])

    def activation(self, position: int = 0) -> Tensor:
        """An operand that an earlier operator, or the caller, made."""
        record = self.record(position)
        _require_int8(record)
        if record.index in self.network.made:
            return self.network.made[record.index]
        if record.data is not None:
            raise UnsupportedError(
                f"input {record.name!r} is a constant; supported: constants as weights, settings, "
                "and one operand of ADD, SUB, MUL and CONCATENATION"
            )
        raise GraphError(f"it reads {record.name!r}, which nothing made before it")

    def operand(self, position: int) -> Tensor:
        """An activation or an int8 constant."""
        record = self.record(position)
        if not self.is_constant(position):
            return self.activation(position)
        _require_int8(record)
        return self.network.constant(record.index)

    def integers(self, position: int) -> NDArray[np.int64]:
        """An int32 or int64 constant: axes, sizes, paddings."""
        record = self.record(position)
        if record.dtype not in (INT32, INT64) or record.elements > MAX_INTEGERS:
            raise UnsupportedError(
                f"input {record.name!r} is {record.type_name} of shape {record.shape}; supported: "
                f"int32 or int64, at most {MAX_INTEGERS} numbers"
            )
        if not self.is_constant(position):
            raise UnsupportedError(f"input {record.name!r} is no constant; supported: constants")
        return constant_values(record).astype(np.int64)

    def output(self, position: int = 0) -> Tensor:
        """The int8 tensor that the operator makes, declared with its shape in the file."""
        record = self.output_record(position)
        _require_int8(record)
        return self.make(record, self.network.declare(record.index))

    def make(self, record: TensorRecord, tensor: Tensor) -> Tensor:
        """Let `tensor` hold the values of the file's tensor, which nobody made before."""
        known = record.index in self.network.made or record.index in self.network.file.inputs
        if known or record.data is not None:
            raise GraphError(f"it writes {record.name!r}: an input, a constant or made before")
        self.network.made[record.index] = tensor
        return tensor

    def output_record(self, position: int = 0) -> TensorRecord:
        """The file's tensor that the operator makes."""
        outputs = self.operator.outputs
        if position >= len(outputs) or outputs[position] < 0:
            raise GraphError(f"it has no output {position}")
        return self.network.record(outputs[position])

    def output_shape(self, position: int = 0) -> tuple[int, ...]:
        """The shape that the file gives the operator's output."""
        return self.output_record(position).shape

    def require_rank(self, rank: int) -> None:
        """Refuse an input that has not that many axes in the file."""
        shape = self.record(0).shape
        if len(shape) != rank:
            raise UnsupportedError(f"its input has shape {shape}; supported: {rank} axes")

    def is_constant(self, position: int) -> bool:
        """Whether the file holds the operand's values."""
        record = self.record(position)
        return record.data is not None and record.index not in self.network.made

    def add(
        self,
        kind: str,
        inputs: tuple[Tensor, ...],
        output: Tensor,
        made: Triple | None = None,
        **attributes: Any,
    ) -> None:
        """Join an operator of the graph to the network, its shape and quantisation checked.

        made: the shape that a slice makes; of other kinds it follows from the inputs. Where the
        file's output has other axes of one (it drops what a mean leaves), a reshape follows.
        """
        label = self.network.labels.unique(f"{kind}_{self.operator.index}")
        names = tuple(tensor.name for tensor in inputs)
        if kind in KEEPING_KINDS:
            _require_same_quant(inputs, output)
        op = Op(kind, label, names, output.name, **attributes)
        shape = made or output_shape(op, list(inputs), output.shape)
        whole = output if shape == output.shape else self._whole(shape, output)
        check_fit(op, list(inputs), whole)  # the graph's own check knows no index
        self.network.ops.append(replace(op, output=whole.name))
        if whole is not output:
            self.add("reshape", (whole,), output)

    def _whole(self, shape: Triple, output: Tensor) -> Tensor:
        """What is made before axes of one are dropped."""
        if _without_ones(shape) != _without_ones(output.shape):
            raise GraphError(f"it makes {shape}, but the file says {output.shape}")
        return self.network.spare(f"{output.name}_whole", shape, output.quant)


def _without_ones(shape: Triple) -> list[int]:
    return [size for size in shape if size != 1]


def _require_int8(record: TensorRecord) -> None:
    if record.dtype != INT8:
        raise UnsupportedError(
            f"tensor {record.name!r} is {record.type_name}; supported: int8 (float32 and uint8 "
            "only as the network's inputs and outputs, through QUANTIZE and DEQUANTIZE)"
        )


def _require_same_quant(inputs: tuple[Tensor, ...], output: Tensor) -> None:
    for tensor in inputs:
        if tensor.quant != output.quant:
            raise UnsupportedError(
                f"{tensor.name!r} has {_quant(tensor)}, {output.name!r} {_quant(output)}; "
                "supported: the same on both sides"
            )


def _quant(tensor: Tensor) -> str:
    return f"scale {tensor.quant.scale:.9g} and zero point {tensor.quant.zero_point}"
