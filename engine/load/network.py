"""The graph as it grows, operator by operator; tensors go by their index in the file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from engine.errors import GraphError, UnsupportedError
from engine.graph import Graph, Op, Quant, Tensor
from engine.load.limits import MAX_CHANNELS, MAX_PARAMETER_BYTES
from engine.load.names import Names, printable
from engine.load.records import FileRecord, TensorRecord
from engine.load.tensors import INT8, activation_quant, activation_shape, constant_values
from engine.options import Triple


@dataclass
class Network:
    """What has been imported so far.

    made: file index -> the int8 tensor that holds its values; one that QUANTIZE or DEQUANTIZE
    merely shows in another type is the same tensor. labels: the names of operators.
    """

    file: FileRecord
    made: dict[int, Tensor] = field(default_factory=dict)
    constants: dict[int, Tensor] = field(default_factory=dict)
    values: dict[str, NDArray[np.int8]] = field(default_factory=dict)
    ops: list[Op] = field(default_factory=list)
    labels: Names = field(default_factory=Names)
    _tensors: list[Tensor] = field(default_factory=list)
    _names: Names = field(default_factory=Names)
    _parameter_bytes: int = 0
    _channels: int = 0

    def __post_init__(self) -> None:
        for index in (*self.file.inputs, *self.file.outputs):
            if index not in self.file.tensors:
                raise GraphError(f"the network has tensor {index} as input or output")
        for index in self.file.inputs:
            if self.record(index).dtype == INT8:
                self.made[index] = self._declare_input(index)

    def _declare_input(self, index: int) -> Tensor:
        try:
            return self.declare(index)
        except GraphError as error:
            raise GraphError(f"input {self.record(index).name!r}: {error}") from error

    def record(self, index: int) -> TensorRecord:
        """The file's tensor; refused when it is sparse, variable or of dynamic shape."""
        record = self.file.tensors[index]
        if record.trait:
            raise UnsupportedError(
                f"tensor {record.name!r} {record.trait}; supported: dense tensors of fixed shape"
            )
        return record

    def declare(self, index: int, quant: Quant | None = None) -> Tensor:
        """A new graph tensor for the file's, with its quantisation or with `quant`."""
        record = self.record(index)
        return self.spare(
            record.name or f"tensor_{index}",
            activation_shape(record),
            activation_quant(record) if quant is None else quant,
        )

    def spare(self, name: str, shape: Triple, quant: Quant) -> Tensor:
        """A new graph tensor; its name is `name`, with a number where that is taken."""
        tensor = Tensor(self._names.unique(name), shape, quant)
        self._tensors.append(tensor)
        return tensor

    def constant(self, index: int) -> Tensor:
        """The graph tensor of an int8 constant; its values are a view of the file."""
        if index not in self.constants:
            tensor = self.declare(index)
            self.constants[index] = tensor
            self.values[tensor.name] = constant_values(self.record(index)).reshape(tensor.shape)
        return self.constants[index]

    def count_parameters(self, weights: int, channels: int) -> None:
        """Add an operator's weights, and 12 bytes a channel, to the sums that are bounded."""
        self._parameter_bytes += weights + 12 * channels
        self._channels += channels
        if self._parameter_bytes > MAX_PARAMETER_BYTES or self._channels > MAX_CHANNELS:
            raise GraphError(
                f"the weights take {self._parameter_bytes} bytes in {self._channels} channels so "
                f"far, over {MAX_PARAMETER_BYTES} or {MAX_CHANNELS}"
            )

    def graph(self, name: str) -> Graph:
        """The whole network, without what no output needs."""
        inputs = self._interface("input", self.file.inputs)
        outputs = self._interface("output", self.file.outputs)
        ops = _needed(self.ops, outputs)
        used = {op.output for op in ops}.union(*(op.inputs for op in ops))
        unread = [name for name in inputs if name not in used]
        if unread:
            raise GraphError(f"the network never reads its input {unread[0]!r}")
        return Graph(
            printable(name) or "network",
            tuple(tensor for tensor in self._tensors if tensor.name in used),
            tuple(ops),
            inputs,
            outputs,
            {name: values for name, values in self.values.items() if name in used},
        )

    def _interface(self, what: str, indices: tuple[int, ...]) -> tuple[str, ...]:
        for index in indices:
            if index not in self.made:
                record = self.record(index)
                raise UnsupportedError(
                    f"{what} {record.name!r} is {record.type_name} and no operator joins it to an "
                    "int8 tensor; supported: int8, or float32 and uint8 beside a QUANTIZE or "
                    "DEQUANTIZE"
                )
        return tuple(self.made[index].name for index in indices)


def _needed(ops: list[Op], outputs: Iterable[str]) -> list[Op]:
    """The operators that `outputs` depend on, in order."""
    needed, kept = set(outputs), []
    for op in reversed(ops):
        if op.output in needed:
            needed.update(op.inputs)
            kept.append(op)
    return kept[::-1]
