"""A network given on the command line: its graph, an input for it and the expected output."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine import reference
from engine.graph import Graph
from engine.graph_file import SUFFIX, load_graph
from engine.quantize import quantize_input
from farm.errors import InventoryError

MAX_INPUT_FILE_BYTES = 16 << 20


def load_model(path: Path) -> Graph:
    """Read an exported network; InventoryError for other formats, GraphError for a bad file."""
    if path.suffix == ".tflite":
        raise InventoryError(f"{path}: .tflite is not yet supported; export it as *{SUFFIX}")
    if not path.name.endswith(SUFFIX):
        raise InventoryError(f"{path}: not an exported network; its name must end in {SUFFIX}")
    if not path.is_file():
        raise InventoryError(f"{path}: no such file")
    return load_graph(path)


def load_input(graph: Graph, path: Path | None, seed: int) -> NDArray[np.int8]:
    """An input [H, W, C]: random int8, or a .npy of int8, or of float32 to be quantised."""
    shape = graph.tensor(graph.input).shape
    if path is None:
        return np.random.default_rng(seed).integers(-128, 128, shape).astype(np.int8)
    array = _load_array(path)
    if array.shape != shape:
        raise InventoryError(f"{path}: shape {array.shape}, the network takes {shape}")
    if array.dtype == np.float32:
        return quantize_input(graph, array)
    if array.dtype != np.int8:
        raise InventoryError(f"{path}: {array.dtype}, not int8 or float32")
    return array.astype(np.int8, copy=False)


def expected_output(graph: Graph, x: NDArray[np.int8]) -> bytes:
    """The bytes that a board must answer, by the reference."""
    return reference.run(graph, x).tobytes()


def model_name(path: Path) -> str:
    """The file's name without its suffix."""
    return path.name.removesuffix(SUFFIX)


def _load_array(path: Path) -> NDArray[np.generic]:
    try:
        if path.stat().st_size > MAX_INPUT_FILE_BYTES:
            raise InventoryError(f"{path}: larger than {MAX_INPUT_FILE_BYTES >> 20} MiB")
        array = np.load(path, allow_pickle=False)
    except OSError as error:
        raise InventoryError(f"{path}: cannot be read: {error}") from error
    except ValueError as error:
        raise InventoryError(f"{path}: not a .npy file: {error}") from error
    if not isinstance(array, np.ndarray):
        raise InventoryError(f"{path}: an archive, not one array")
    return array
