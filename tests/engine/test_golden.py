"""Values that TensorFlow Lite itself gave, at places where a wrong rounding shows.

From the int8 reference kernels of tflite-runtime 2.14 and of TensorFlow Lite Micro, running
MLPerf Tiny's ad01 (fully connected) and resnet8 (add) on random inputs. Each sum stands so near
a half step that rounding once, not twice, gives the neighbouring value, as LiteRT 2.3 does in
its fully connected kernel.
"""

import numpy as np
import pytest

from engine import reference
from engine.emit import emit
from engine.graph import Graph, Op, Quant, Tensor
from engine.host import HostModel

# scale of input, weights and output; output's zero point; (sum, output of TFLite)
FULLY_CONNECTED = [
    (0.04945912957191467, 0.015028326772153378, 0.035405684262514114, -128,
     [(595, -115), (3501, -54), (881, -109)]),
    (0.01373074296861887, 0.07203541696071625, 0.02360379323363304, -128,
     [(346, -113), (1109, -81), (274, -116)]),
    (0.031756170094013214, 0.019335433840751648, 0.03207116201519966, -128,
     [(182, -124), (5823, -16), (2637, -77)]),
    (0.024790890514850616, 0.0195566825568676, 0.36449846625328064, 96,
     [(-81571, -13), (-37214, 46), (-38718, 44)]),
]  # fmt: skip

# quantisation of both inputs and the output; (first, second, output of TFLite)
ADD = [
    ((0.039393551647663116, -128), (0.10419496148824692, 4), (0.050945673137903214, -128),
     [(22, -51, -124), (-43, -1, -73), (-117, 26, -74), (-123, 18, -96)]),
    ((0.044761426746845245, -17), (0.11311884224414825, 4), (0.0532362163066864, -128),
     [(-10, 73, 25), (-17, 8, -120), (-28, 18, -108), (34, 33, -23)]),
    ((0.08385830372571945, 38), (0.21724364161491394, -2), (0.1270691454410553, -128),
     [(50, -4, -123), (61, -10, -126), (4, 12, -127), (17, 14, -115)]),
]  # fmt: skip


def fully_connected(scale, weight_scale, out_scale, out_zero, sums):
    """One output a sum: the sum is the bias, and the input is at its zero point."""
    op = Op(
        "fully_connected", "fc", ("in",), "out",
        weights=np.ones((len(sums), 1), np.int8),
        weight_scales=np.full(len(sums), weight_scale), bias=np.array(sums, np.int32),
    )  # fmt: skip
    tensors = (
        Tensor("in", (1, 1, 1), Quant(scale, 5)),
        Tensor("out", (1, 1, len(sums)), Quant(out_scale, out_zero)),
    )
    return Graph("fc", tensors, (op,), ("in",), ("out",))


@pytest.mark.parametrize(
    ("scale", "weight_scale", "out_scale", "out_zero", "rows"), FULLY_CONNECTED
)
def test_fully_connected_rounds_twice_as_tflite_does(
    scale, weight_scale, out_scale, out_zero, rows
):
    sums, wanted = zip(*rows, strict=True)
    graph = fully_connected(scale, weight_scale, out_scale, out_zero, sums)
    x = np.full((1, 1, 1), 5, np.int8)
    assert reference.run(graph, x).ravel().tolist() == list(wanted)
    with HostModel(emit(graph)) as model:
        assert model.run(x).ravel().tolist() == list(wanted)


@pytest.mark.parametrize(("first", "second", "out", "rows"), ADD)
def test_add_rounds_as_tflite_does(first, second, out, rows):
    """By the reference; what the C makes of two scales is compared with it elsewhere."""
    shape = (1, 1, len(rows))
    quants = [Quant(*part) for part in (first, second, out)]
    tensors = [Tensor(name, shape, quant) for name, quant in zip("abo", quants, strict=True)]
    a, b, wanted = np.array(rows, np.int8).T.reshape(3, 1, *shape)
    got = reference.EXECUTORS["add"](
        Op("add", "add", ("a", "b"), "o"), [a, b], tensors[:2], tensors[2]
    )
    assert got.ravel().tolist() == wanted.ravel().tolist()
