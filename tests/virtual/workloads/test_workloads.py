"""The workloads compute what they should, and their cycles lie where silicon's do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.virtual.workloads.figures import PAIR, cycles_per_mac, published
from tests.virtual.workloads.workload import Layer, macs, network, network_names, run, scale

SMALL = (
    Layer("convolution", (5, 4, 3), (3, 2, 5), (3, 3), 2),
    Layer("pointwise", (3, 3, 8), (3, 3, 6)),
    Layer("depthwise", (5, 5, 8), (5, 5, 8), (3, 3)),
    Layer("dense", (1, 1, 24), (1, 1, 6)),
)


def filled(layer: Layer) -> Layer:
    rng = np.random.default_rng(3)
    h_w = layer.kernel
    shape = (*h_w, layer.out_shape[2])
    if layer.kind != "depthwise":
        shape = (layer.out_shape[2], *h_w, layer.in_shape[2])
    weights = rng.integers(-127, 128, shape, dtype=np.int8)
    bias = tuple(rng.integers(-300, 300, layer.out_shape[2]).tolist())
    return replace(layer, weights=weights, bias=bias)


def expected(layer: Layer, values: np.ndarray) -> np.ndarray:
    """By plain sums, with the input's offset of 3 and the output's of -5."""
    wide = values.astype(np.int64) + 3
    (k_h, k_w), (out_h, out_w, _) = layer.kernel, layer.out_shape
    top, left = layer.padding
    picture = np.pad(wide, ((top, k_h), (left, k_w), (0, 0)))
    out = np.empty(layer.out_shape, np.int64)
    for y, x in np.ndindex(out_h, out_w):
        at = picture[y * layer.stride :][:k_h, x * layer.stride :][:, :k_w]
        weights = layer.weights.astype(np.int64)
        if layer.kind == "depthwise":
            out[y, x] = (at * weights).sum((0, 1))
        else:
            out[y, x] = (at[None] * weights).sum((1, 2, 3))
    return rescaled(out + np.array(layer.bias), *scale(layer))


def rescaled(sums: np.ndarray, multiplier: int, shift: int) -> np.ndarray:
    high = (sums * multiplier + (1 << 30)) >> 31
    half = (1 << shift) >> 1
    rounded = np.where(high < 0, -((-high + half) >> shift), (high + half) >> shift)
    return np.clip(rounded - 5, -128, 127)


@pytest.mark.parametrize("layer", SMALL, ids=lambda layer: layer.kind)
def test_kernel_computes_its_layer_in_the_same_cycles_with_and_without_native_code(layer) -> None:
    layer = filled(layer)
    values = np.random.default_rng(1).integers(-128, 128, layer.in_shape, dtype=np.int8)
    done = [run(PAIR[0], (layer,), native=n, inputs=values.tobytes()) for n in (True, False)]
    found = np.frombuffer(done[0].output, np.int8).reshape(layer.out_shape)
    assert (found == expected(layer, values)).all()
    assert done[0].cycles == done[1].cycles


def test_networks_have_the_macs_of_the_published_files() -> None:
    for name in network_names():
        assert sum(layer.macs for layer in network(name)) == macs(name)


@pytest.mark.parametrize("name", ["kws", "ad"])
def test_cycles_a_mac_and_the_ratio_of_the_cores_lie_where_silicon_has_them(name) -> None:
    m4, m7 = (run(part, network(name)).cycles / macs(name) for part in PAIR)
    assert 1.6 < m4 < 4.8
    assert 1.0 < m7 < 2.5
    assert 0.5 < m7 / m4 < 0.8
    cmsis = [line for line in published() if line["stack"] == "microTVM, CMSIS-NN"]
    silicon = next(cycles_per_mac(line) for line in cmsis)[network_names().index(name)]
    assert m4 == pytest.approx(silicon, rel=0.2)  # kernels of the same kind, on the same board


def test_published_rows_name_their_source_and_clock() -> None:
    for line in published():
        assert line["source"].startswith("github.com/mlcommons/tiny_results_v")
        assert any(cycles_per_mac(line))
