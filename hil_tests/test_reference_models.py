"""Published int8 networks from .tflite files give TensorFlow Lite Micro's bytes on every board.

The files lie beside the project, in `shared/models`; without them these tests are skipped.
"""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.graph import Graph
from engine.load.tflite import load_tflite
from engine.rewrite import rewrite

pytestmark = [
    pytest.mark.hil,
    pytest.mark.board(each="type"),
    pytest.mark.usefixtures("board"),  # `measure` takes the board that the test holds
]

MODELS = Path(__file__).parents[2] / "shared" / "models"
ARENA_LIMIT_BYTES = {
    "mlperf_vww_96_int8": 40_000,
    "mlperf_ic_resnet8_int8": 49_152,
    "mlperf_kws_dscnn_int8": 12_000,
    "mlperf_ad01_int8": 784,
    "tflm_micro_speech_int8": 5_960,
}


def model_file(name: str) -> Path:
    path = MODELS / f"{name}.tflite"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    return path


def published_output(data: bytes, x: NDArray[np.int8]) -> bytes:
    """What TensorFlow Lite Micro's reference kernels make of one input."""
    runtime = pytest.importorskip("tflite_micro.python.tflite_micro.runtime")
    interpreter = runtime.Interpreter.from_bytes(data)
    interpreter.set_input(x.reshape(interpreter.get_input_details(0)["shape"]), 0)
    interpreter.invoke()
    return bytes(interpreter.get_output(0).tobytes())


def random_input(graph: Graph, seed: int) -> NDArray[np.int8]:
    shape = graph.tensor(graph.input).shape
    return np.random.default_rng(seed).integers(-128, 128, shape).astype(np.int8)


@pytest.mark.parametrize("name", ARENA_LIMIT_BYTES)
def test_a_published_network_gives_the_published_bytes(measure: Any, name: str) -> None:
    path = model_file(name)
    given = load_tflite(path)
    x = random_input(given, 3)
    m = measure(rewrite(given).graph, x, repeats=1)
    assert m.status == "ok", m.message
    assert m.output_sha256 == hashlib.sha256(published_output(path.read_bytes(), x)).hexdigest()
    assert m.arena_bytes <= ARENA_LIMIT_BYTES[name]
