"""A .tflite file -> Graph, or one `EngineError` that says why not.

Supported: the main network of a fully quantised int8 CNN of batch 1, of the operators in
engine/load/operators.py. Inputs and outputs may be float32 or uint8 where a QUANTIZE or
DEQUANTIZE stands beside them: the graph's own are int8 (see operators_interface.py). Nothing is
rewritten: a RESHAPE becomes an operator; only what no output depends on is left out.

A file is untrusted. Whatever its bytes, the answer is a `Graph`, a `GraphError` (the file
contradicts itself, is damaged or too large) or an `UnsupportedError` (it asks for something else;
the sentence names the operator, its index and what is supported). engine/load/limits.py bounds
memory and time.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tflite as schema

from engine.errors import GraphError, UnsupportedError
from engine.graph import Graph
from engine.load.limits import MAX_FILE_BYTES
from engine.load.names import printable
from engine.load.network import Network
from engine.load.operators import OPERATORS
from engine.load.reader import read_file
from engine.load.step import Step


def load_tflite(path: Path) -> Graph:
    """The network of a file, named after it. Raises `EngineError`, which names the file."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise GraphError(f"{path} cannot be read: {error.strerror or error}") from error
    return _parse(data, path.stem, str(path))


def parse_tflite(data: bytes, name: str) -> Graph:
    """The network in the bytes of a file, under `name`. Raises `EngineError`."""
    return _parse(data, name, printable(name))


def _parse(data: bytes, name: str, file: str) -> Graph:
    """`file`: how errors call it."""
    try:
        with np.errstate(all="ignore"):  # scales of a hostile file overflow; they are checked
            network = Network(read_file(data))
            for operator in network.file.operators:
                _convert(Step(network, operator))
            return network.graph(name)
    except (GraphError, UnsupportedError) as error:
        raise type(error)(f"{file}: {error}") from error


def _convert(step: Step) -> None:
    row = OPERATORS.get(step.operator.code)
    if row is None:
        names = sorted(schema.BUILTIN_OPCODE2NAME[code] for code in OPERATORS)
        raise UnsupportedError(f"{step.where} is not supported; supported: {', '.join(names)}")
    if step.operator.version > row.newest:
        raise UnsupportedError(
            f"{step.where} has version {step.operator.version}; supported: up to {row.newest}"
        )
    try:
        row.convert(step)
    except (GraphError, UnsupportedError) as error:
        raise type(error)(f"{step.where}: {error}") from error
