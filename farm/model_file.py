"""Inputs for a network given on the command line, and the outputs to expect."""

import io
import itertools
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from engine import reference
from engine.errors import GraphError
from engine.graph import Graph
from engine.quantize import quantize_input
from farm.errors import InventoryError

MAX_INPUT_FILE_BYTES = 16 << 20
DAMAGED_ZIP = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError)
"""What zipfile raises; RuntimeError: an encrypted member."""
Inputs = Mapping[str, NDArray[np.int8]]
"""int8 [H, W, C] by the name of each input."""


def load_input(graph: Graph, path: Path | None, seed: int) -> Inputs:
    """Every input [H, W, C] by its name, int8: random, or what a file has.

    path: a .npy for a network with one input, or a .npz that has every input under its name; of
    int8, or of float32 to be quantised. Axes of 1 at the front, such as the batch, may be there or
    not. Raises InventoryError.
    """
    if path is None:
        rng = np.random.default_rng(seed)
        shapes = {name: graph.tensor(name).shape for name in graph.inputs}
        return {name: rng.integers(-128, 128, s).astype(np.int8) for name, s in shapes.items()}
    arrays = _load_arrays(path, graph.inputs)
    return {name: _input(graph, name, arrays[name], path) for name in graph.inputs}


def _input(graph: Graph, name: str, array: NDArray[np.generic], path: Path) -> NDArray[np.int8]:
    shape = graph.tensor(name).shape
    if _without_front_ones(array.shape) != _without_front_ones(shape):
        raise InventoryError(f"{path}: shape {array.shape}, the network takes {shape} as {name!r}")
    if array.dtype not in (np.float32, np.int8):
        raise InventoryError(f"{path}: {array.dtype}, not int8 or float32")
    array = array.reshape(shape)
    if array.dtype == np.int8:
        return array.astype(np.int8, copy=False)
    try:
        return quantize_input(graph, array.astype(np.float32, copy=False), name)
    except GraphError as error:
        raise InventoryError(f"{path}: {error}") from error


def _without_front_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(itertools.dropwhile(lambda size: size == 1, shape))


def input_bytes(graph: Graph, inputs: Inputs) -> bytes:
    """The inputs as a board takes them, each behind the one before it."""
    return b"".join(inputs[name].tobytes() for name in graph.inputs)


def expected_output(graph: Graph, inputs: Inputs) -> bytes:
    """The bytes that a board must answer, by the reference: outputs behind each other."""
    values = reference.run_all(graph, inputs)
    return b"".join(values[name].tobytes() for name in graph.outputs)


def _load_arrays(path: Path, names: tuple[str, ...]) -> dict[str, NDArray[np.generic]]:
    """The file's arrays by the names of inputs; every name has one."""
    try:
        if path.stat().st_size > MAX_INPUT_FILE_BYTES:
            raise InventoryError(f"{path}: larger than {MAX_INPUT_FILE_BYTES >> 20} MiB")
        if path.suffix == ".npz":  # anything else is one array
            return _load_members(path, names)
        array = _member(path.read_bytes())
    except OSError as error:
        raise InventoryError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, EOFError, MemoryError, *DAMAGED_ZIP) as error:
        raise InventoryError(f"{path}: not a .npy or .npz file: {error}") from error
    if len(names) > 1:
        raise InventoryError(f"{path}: one array; the network takes a .npz of {', '.join(names)}")
    return {names[0]: array}


def _load_members(path: Path, names: tuple[str, ...]) -> dict[str, NDArray[np.generic]]:
    with zipfile.ZipFile(path) as archive:
        if sum(member.file_size for member in archive.infolist()) > MAX_INPUT_FILE_BYTES:
            raise InventoryError(f"{path}: unpacks to more than {MAX_INPUT_FILE_BYTES >> 20} MiB")
        found = {name.removesuffix(".npy"): name for name in archive.namelist()}
        if missing := [name for name in names if name not in found]:
            raise InventoryError(f"{path}: has no array named {missing[0]!r}")
        return {name: _member(archive.read(found[name])) for name in names}


def _member(data: bytes) -> NDArray[np.generic]:
    array: NDArray[np.generic] = npy.read_array(io.BytesIO(data), allow_pickle=False)
    return array
