"""Public int8 networks, where they are beside the project: what they are, or why not."""

import time
from collections import Counter
from pathlib import Path

import pytest

from engine.errors import UnsupportedError
from engine.load.tflite import load_tflite

MODELS = Path(__file__).resolve().parents[4] / "shared" / "models"
pytestmark = pytest.mark.skipif(
    not MODELS.is_dir(), reason="the public models are not part of the project"
)
TAIL = {"reshape": 1, "fully_connected": 1, "softmax": 1}
SEPARABLE = {"conv2d": 14, "depthwise_conv2d": 13, "average_pool2d": 1} | TAIL


@pytest.mark.parametrize(
    ("name", "macs", "source", "target", "kinds"),
    [
        ("mlperf_vww_96", 7_489_664, (96, 96, 3), 2, SEPARABLE),
        ("mlperf_ic_resnet8", 12_501_632, (32, 32, 3), 10,
         {"conv2d": 9, "add": 3, "average_pool2d": 1} | TAIL),
        ("mlperf_kws_dscnn", 2_656_768, (49, 10, 1), 12,
         {"conv2d": 5, "depthwise_conv2d": 4, "average_pool2d": 1} | TAIL),
        ("mlperf_ad01", 264_192, (1, 1, 640), 640, {"fully_connected": 10}),
        ("tflm_micro_speech", 336_000, (1, 1, 1960), 4, {"depthwise_conv2d": 1} | TAIL),
    ],
)  # fmt: skip
def test_supported_models(name, macs, source, target, kinds):
    graph = load_tflite(MODELS / f"{name}_int8.tflite")
    assert graph.macs == macs
    assert graph.tensor(graph.input).shape == source
    assert graph.tensor(graph.output).shape == (1, 1, target)
    assert Counter(op.kind for op in graph.ops) == kinds


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("tflm_mnist_lstm_int8",
         "operator 0 UNIDIRECTIONAL_SEQUENCE_LSTM .* is not supported; supported: ADD, "),
        ("coral_mobilenet_v1_0.25_128_uint8",
         "operator 0 CONV_2D .*: tensor 'input' is uint8; supported: int8"),
        ("tflm_audio_preprocessor_int8",
         "operator 0 CUSTOM 'SignalWindow': custom operators are not supported"),
    ],
)  # fmt: skip
def test_models_that_are_refused_say_why(name, sentence):
    with pytest.raises(UnsupportedError, match=sentence) as refusal:
        load_tflite(MODELS / f"{name}.tflite")
    assert "\n" not in str(refusal.value)


def test_the_person_model_is_imported_in_a_moment():
    start = time.process_time()
    load_tflite(MODELS / "mlperf_vww_96_int8.tflite")
    assert time.process_time() - start < 2.0
