"""The bytes of a .tflite file -> `FileRecord`.

The accessors of packages `tflite` and `flatbuffers` read through Python's own bounds checks: an
offset that leaves the file raises, never reads. All of them are called here, so that what they
raise is translated in one place. They do trust lengths, so each is checked before it is used.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import tflite
from numpy.typing import NDArray

from engine.errors import GraphError, UnsupportedError
from engine.load.limits import (
    MAX_FILE_BYTES,
    MAX_NAME_BYTES,
    MAX_OPERANDS,
    MAX_OPERATORS,
    MAX_RANK,
    MAX_TENSORS,
)  # fmt: skip
from engine.load.names import printable
from engine.load.option_fields import OPTION_FIELDS
from engine.load.records import FileRecord, OperatorRecord, TensorRecord

SCHEMA_VERSION = 3
DAMAGE = (struct.error, TypeError, ValueError, OverflowError)
"""What the accessors raise when an offset or a length leaves the file."""


def read_file(data: bytes) -> FileRecord:
    """The main subgraph of a file. Raises `GraphError` if it is damaged, too large or no
    .tflite file, and `UnsupportedError` for several subgraphs and custom operators.
    """
    _require_count("the file", "bytes", len(data), MAX_FILE_BYTES)
    try:
        return _read_model(data)
    except DAMAGE as error:
        raise GraphError(
            "the file is damaged: an offset or a length in it leads outside"
        ) from error


def _read_model(data: bytes) -> FileRecord:
    if len(data) < 8 or not tflite.Model.ModelBufferHasIdentifier(data, 0):
        raise GraphError("this is not a .tflite file: it has no TFL3 mark")
    model = tflite.Model.GetRootAs(data, 0)
    if model.Version() != SCHEMA_VERSION:
        raise GraphError(f"the file has schema version {model.Version()}, not {SCHEMA_VERSION}")
    if not model.SubgraphsLength():
        raise GraphError("the file has no network")
    graph = model.Subgraphs(0)
    operators = _read_operators(model, graph)
    if model.SubgraphsLength() > 1:
        raise UnsupportedError(
            f"the file has {model.SubgraphsLength()} subgraphs; supported: one network, without "
            "control flow"
        )
    inputs = _integers("the network", "inputs", graph.InputsLength(), graph.InputsAsNumpy)
    outputs = _integers("the network", "outputs", graph.OutputsLength(), graph.OutputsAsNumpy)
    used = {*inputs, *outputs}.union(*(op.inputs + op.outputs for op in operators))
    tensors = _read_tensors(model, graph, sorted(used - {-1}))
    return FileRecord(operators, tensors, inputs, outputs)


def _read_operators(model: Any, graph: Any) -> tuple[OperatorRecord, ...]:
    count = graph.OperatorsLength()
    _require_count("the network", "operators", count, MAX_OPERATORS)
    return tuple(_read_operator(model, graph.Operators(index), index) for index in range(count))


def _read_operator(model: Any, operator: Any, index: int) -> OperatorRecord:
    if operator.OpcodeIndex() >= model.OperatorCodesLength():
        raise GraphError(f"operator {index} has code {operator.OpcodeIndex()}, which is not there")
    opcode = model.OperatorCodes(operator.OpcodeIndex())
    # codes up to 127 once lived in the byte, newer ones live in the int32; both are written
    code = max(opcode.BuiltinCode(), opcode.DeprecatedBuiltinCode())
    if code == tflite.BuiltinOperator.CUSTOM:
        raise UnsupportedError(
            f"operator {index} CUSTOM {printable(opcode.CustomCode())!r}: custom operators are not "
            "supported, only TFLite's own"
        )
    name = tflite.BUILTIN_OPCODE2NAME.get(code, f"code {code}")
    where = f"operator {index} {name}"
    return OperatorRecord(
        index,
        code,
        name,
        opcode.Version(),
        _integers(where, "inputs", operator.InputsLength(), operator.InputsAsNumpy),
        _integers(where, "outputs", operator.OutputsLength(), operator.OutputsAsNumpy),
        _read_options(operator, code, where),
    )


def _read_options(operator: Any, code: int, where: str) -> dict[str, Any]:
    row = OPTION_FIELDS.get(code)
    if row is None:
        return {}
    if operator.BuiltinOptionsType() != row.tag or operator.BuiltinOptions() is None:
        raise GraphError(f"{where} has no {row.table.__name__}")
    union, options = operator.BuiltinOptions(), row.table()
    options.Init(union.Bytes, union.Pos)
    return {field: getattr(options, field)() for field in row.fields}


def _read_tensors(model: Any, graph: Any, indices: Iterable[int]) -> dict[int, TensorRecord]:
    wanted, count = list(indices), graph.TensorsLength()
    _require_count("the network", "tensors in use", len(wanted), MAX_TENSORS)
    if wanted and not (wanted[0] >= 0 and wanted[-1] < count):
        raise GraphError(f"the network uses tensors {wanted[0]}..{wanted[-1]}, it has {count}")
    records, name_bytes = {}, 0
    for index in wanted:
        tensor = graph.Tensors(index)
        name = tensor.Name() or b""
        name_bytes += len(name)  # many tensors may share one long name: a copy each
        _require_count("the network", "bytes of names", name_bytes, MAX_NAME_BYTES)
        records[index] = _read_tensor(model, tensor, index, printable(name))
    return records


def _read_tensor(model: Any, tensor: Any, index: int, name: str) -> TensorRecord:
    where = f"tensor {index} {name!r}"
    quantization = tensor.Quantization()
    scales, zero_points = _read_quantization(quantization, where)
    return TensorRecord(
        index,
        name,
        _integers(where, "dimensions", tensor.ShapeLength(), tensor.ShapeAsNumpy, MAX_RANK),
        tensor.Type(),
        _read_buffer(model, tensor.Buffer(), where),
        scales,
        zero_points,
        quantization.QuantizedDimension() if quantization else 0,
        _trait(tensor, where),
    )


def _read_quantization(
    quantization: Any, where: str
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    if quantization is None:
        return np.empty(0, np.float32), np.empty(0, np.int64)
    if quantization.DetailsType():
        raise UnsupportedError(f"{where} has a custom quantisation; supported: affine")
    scales = zero_points = None
    if quantization.ScaleLength():
        scales = quantization.ScaleAsNumpy()
    if quantization.ZeroPointLength():
        zero_points = quantization.ZeroPointAsNumpy()
    return (
        np.empty(0, np.float32) if scales is None else scales,
        np.empty(0, np.int64) if zero_points is None else zero_points,
    )


def _read_buffer(model: Any, index: int, where: str) -> NDArray[np.uint8] | None:
    if index >= model.BuffersLength():
        raise GraphError(f"{where} has buffer {index}, the file has {model.BuffersLength()}")
    buffer = model.Buffers(index)
    if buffer.Offset() > 1:
        raise UnsupportedError(f"{where} has its data behind the file's end; supported: inside")
    data: NDArray[np.uint8] | None = buffer.DataAsNumpy() if buffer.DataLength() else None
    return data


def _trait(tensor: Any, where: str) -> str:
    signature = _integers(
        *(where, "dimensions", tensor.ShapeSignatureLength(), tensor.ShapeSignatureAsNumpy),
        MAX_RANK,
    )
    if tensor.Sparsity() is not None:
        return "is sparse"
    if tensor.IsVariable():
        return "is a variable"
    return "has a dynamic shape" if -1 in signature[1:] else ""


def _integers(
    where: str, what: str, length: int, read: Callable[[], Any], most: int = MAX_OPERANDS
) -> tuple[int, ...]:
    _require_count(where, what, length, most)
    return tuple(read().tolist()) if length else ()


def _require_count(where: str, what: str, count: int, most: int) -> None:
    if count > most:
        raise GraphError(f"{where} has {count} {what}, over {most}")
