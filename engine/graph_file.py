"""A graph as one file, `*.tinyrack.npz`: a JSON header and the arrays of its operators.

The file is a zip of .npy members that `numpy.load` can read: `header` (JSON in UTF-8, as uint8),
`<index>.weights`, `<index>.weight_scales`, `<index>.bias` for each operator with weights, and
`<index>.constant` for each constant tensor, in the order of the header's list. Equal graphs give
equal bytes. Files of version 1 are read too: one input, one output, neither constants nor
dilations nor options. A file is hostile until checked: sizes are bounded before anything is read,
no member may be pickled, and whatever does not fit is a `GraphError`.
"""

from __future__ import annotations

import dataclasses
import io
import json
import math
import re
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from engine.errors import GraphError
from engine.graph import Graph, Op, Padding, Quant, Tensor
from engine.options import OPTIONS, Options
from engine.whole_file import replace_file

SUFFIX = ".tinyrack.npz"
FORMAT, VERSION = "tinyrack graph", 2
MAX_FILE_BYTES = 1 << 28
MAX_HEADER_BYTES = 1 << 22
ARRAY_TYPES: dict[str, np.dtype[Any]] = {
    "weights": np.dtype("i1"), "weight_scales": np.dtype("<f8"), "bias": np.dtype("<i4")
}  # fmt: skip
MEMBER_TYPES = ARRAY_TYPES | {"constant": np.dtype("i1"), "header": np.dtype("u1")}
NPY_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00..\{'descr': '(?P<descr>[|<]\w\d)', 'fortran_order': False, "
    rb"'shape': \((?P<shape>(?:\d{1,10},? ?){1,4})\), \} *\n",
    re.DOTALL,
)
GRAPH_KEYS = {"format", "version", "name", "tensors", "ops", "inputs", "outputs", "constants"}
TENSOR_KEYS = {"name", "shape", "scale", "zero_point"}
OP_KEYS = {
    "kind", "name", "inputs", "output", "kernel", "stride", "dilation", "padding", "clamp",
    "options", "has_weights",
}  # fmt: skip
FIRST_GRAPH_KEYS = GRAPH_KEYS - {"inputs", "outputs", "constants"} | {"input", "output"}
FIRST_OP_KEYS = OP_KEYS - {"dilation", "options"}
"""Those of version 1."""


def save_graph(graph: Graph, path: Path) -> None:
    """Write `graph` to `path`, whole or not at all; `OSError` when that cannot be done."""
    text = json.dumps(_header(graph), sort_keys=True)
    arrays: dict[str, NDArray[Any]] = {"header": np.frombuffer(text.encode(), np.uint8)}
    for index, op in enumerate(graph.ops):
        for field in ARRAY_TYPES if op.weights is not None else ():
            arrays[f"{index}.{field}"] = getattr(op, field)
    for index, name in enumerate(sorted(graph.constants)):
        arrays[f"{index}.constant"] = graph.constants[name]
    file = io.BytesIO()
    _write_members(file, arrays)
    replace_file(path, file.getvalue())


def _write_members(file: io.BytesIO, arrays: dict[str, NDArray[Any]]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            npy.write_array(member, array, version=(1, 0), allow_pickle=False)
            info = zipfile.ZipInfo(f"{name}.npy")  # its date is fixed: 1980
            archive.writestr(info, member.getvalue(), zipfile.ZIP_DEFLATED)


def _header(graph: Graph) -> dict[str, Any]:
    tensors = [
        {"name": t.name, "shape": t.shape, "scale": t.quant.scale, "zero_point": t.quant.zero_point}
        for t in graph.tensors
    ]
    return {
        "format": FORMAT,
        "version": VERSION,
        "name": graph.name,
        "tensors": tensors,
        "ops": [_op_header(op) for op in graph.ops],
        "inputs": graph.inputs,
        "outputs": graph.outputs,
        "constants": sorted(graph.constants),
    }


def _op_header(op: Op) -> dict[str, Any]:
    plain = {key: getattr(op, key) for key in OP_KEYS - {"padding", "options", "has_weights"}}
    return plain | {
        "padding": list(vars(op.padding).values()),
        "options": None if op.options is None else vars(op.options),
        "has_weights": op.weights is not None,
    }


def load_graph(path: Path) -> Graph:
    """The graph in `path`; `GraphError` when the file is missing, damaged or malformed."""
    try:
        arrays = _read_members(path)
        return _graph(json.loads(arrays.pop("header").tobytes()), arrays)
    except GraphError as error:
        raise GraphError(f"{path} is not a network of this format: {error}") from error
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise GraphError(f"{path} cannot be read: {error}") from error
    except (ValueError, NotImplementedError, RuntimeError, RecursionError) as error:
        # bad JSON or .npy header; unknown compression; an encrypted member; nesting
        raise GraphError(f"{path} is damaged: {error}") from error


def _read_members(path: Path) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {}
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if sum(member.file_size for member in members) > MAX_FILE_BYTES:
            raise GraphError(f"it unpacks to more than {MAX_FILE_BYTES} bytes")
        for member in members:
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise GraphError(f"its member {member.filename[:80]!r} is not stored or deflated")
            name = member.filename.removesuffix(".npy")
            if name in arrays:
                raise GraphError(f"it has {name!r} twice")
            if name == "header" and member.file_size > MAX_HEADER_BYTES:
                raise GraphError(f"its header is over {MAX_HEADER_BYTES} bytes")
            arrays[name] = _read_array(name, archive.read(member))
    if "header" not in arrays:
        raise GraphError("it has no header")
    return arrays


def _read_array(name: str, data: bytes) -> NDArray[Any]:
    """One .npy member, its type and size checked before anything is allocated for it.

    `numpy.lib.format` evaluates a header as Python text; these bytes deserve less trust.
    """
    wanted = MEMBER_TYPES.get(name.rpartition(".")[2])
    if wanted is None:
        raise GraphError(f"it has an unknown member {name[:80]!r}")
    match = NPY_HEADER.match(data)
    if not match or match["descr"].decode() != wanted.str:
        raise GraphError(f"its member {name!r} is not a plain array of {wanted.name}")
    shape = tuple(int(size) for size in match["shape"].split(b",") if size.strip())
    body = data[match.end() :]
    if math.prod(shape) * wanted.itemsize != len(body):
        raise GraphError(f"its member {name!r} does not have the size that it declares")
    return np.frombuffer(body, wanted).reshape(shape)


def _graph(header: Any, arrays: dict[str, NDArray[Any]]) -> Graph:
    header = _second_version(header)
    _check_keys("header", header, GRAPH_KEYS)
    if (header["format"], header["version"]) != (FORMAT, VERSION):
        raise GraphError(f"its format is {header['format']!r} version {header['version']!r}")
    tensors = tuple(_tensor(part) for part in _items(header["tensors"]))
    ops = tuple(_op(index, part, arrays) for index, part in enumerate(_items(header["ops"])))
    constants = _constants(_names(header["constants"]), arrays)
    if arrays:
        raise GraphError(f"it has arrays of no operator: {', '.join(sorted(arrays))[:200]}")
    inputs, outputs = _names(header["inputs"]), _names(header["outputs"])
    return Graph(header["name"], tensors, ops, inputs, outputs, constants)


def _second_version(header: Any) -> Any:
    """A header of version 1 as the one of version 2 that means the same; others as they are."""
    if not isinstance(header, dict) or header.get("version") != 1:
        return header
    _check_keys("header", header, FIRST_GRAPH_KEYS)
    ops = _items(header["ops"])
    for op in ops:
        _check_keys("an operator", op, FIRST_OP_KEYS)
    kept = {key: header[key] for key in FIRST_GRAPH_KEYS & GRAPH_KEYS}
    return kept | {
        "version": VERSION,
        "ops": [op | {"dilation": [1, 1], "options": None} for op in ops],
        "inputs": [header["input"]],
        "outputs": [header["output"]],
        "constants": [],
    }


def _constants(
    names: tuple[str, ...], arrays: dict[str, NDArray[Any]]
) -> dict[str, NDArray[np.int8]]:
    if len(set(names)) != len(names):
        raise GraphError("it has a constant twice")
    if missing := [name for index, name in enumerate(names) if f"{index}.constant" not in arrays]:
        raise GraphError(f"constant {missing[0]!r} has no values")
    return {name: arrays.pop(f"{index}.constant") for index, name in enumerate(names)}


def _tensor(part: Any) -> Tensor:
    _check_keys("a tensor", part, TENSOR_KEYS)
    height, width, channels = _items(part["shape"], 3)
    quant = Quant(part["scale"], part["zero_point"])
    return Tensor(part["name"], (height, width, channels), quant)


def _op(index: int, part: Any, arrays: dict[str, NDArray[Any]]) -> Op:
    _check_keys("an operator", part, OP_KEYS)
    fields: dict[str, Any] = {"inputs": _names(part["inputs"])}
    for field in ("kernel", "stride", "dilation", "clamp"):
        fields[field] = tuple(_items(part[field], 2))
    for field in ARRAY_TYPES if part["has_weights"] is True else ():
        if f"{index}.{field}" not in arrays:
            raise GraphError(f"operator {part['name']!r} has no {field}")
        fields[field] = arrays.pop(f"{index}.{field}")
    fields["padding"] = Padding(*_items(part["padding"], 4))
    fields["options"] = _options(part["kind"], part["options"])
    return Op(part["kind"], part["name"], output=part["output"], **fields)


def _options(kind: Any, part: Any) -> Options | None:
    if part is None:
        return None
    found = OPTIONS.get(kind) if isinstance(kind, str) else None
    if found is None:
        raise GraphError(f"an operator of kind {str(kind)[:80]!r} has no options")
    _check_keys(f"options of {kind}", part, {field.name for field in dataclasses.fields(found)})
    lists = {key: tuple(value) for key, value in part.items() if isinstance(value, list)}
    return found(**(part | lists))


def _check_keys(what: str, part: Any, keys: set[str]) -> None:
    if not isinstance(part, dict) or set(part) != keys:
        raise GraphError(f"{what} must have exactly the keys {', '.join(sorted(keys))}")


def _items(value: Any, count: int | None = None) -> list[Any]:
    if not isinstance(value, list) or (count is not None and len(value) != count):
        raise GraphError(f"{str(value)[:80]!r} is not a list of {count or 'parts'}")
    return value


def _names(value: Any) -> tuple[str, ...]:
    names = tuple(_items(value))
    if not all(isinstance(name, str) for name in names):
        raise GraphError(f"{str(value)[:80]!r} is not a list of names")
    return names
