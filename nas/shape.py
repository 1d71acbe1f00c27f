"""The int8 graph of an architecture before it has weights: enough to plan, build and predict."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from engine.graph import Graph, Op, Padding, Quant, Tensor
from nas.network import INPUT, OUTPUT, LayerSpec, layers
from nas.space import Arch, SearchSpace

SIGNED = Quant(1 / 32, 0)
POSITIVE = Quant(1 / 32, -128)  # behind a ReLU: its clamp is then all of int8, as when trained
WEIGHT_SCALE = 1 / 1024


@lru_cache(maxsize=1024)
def shape_graph(space: SearchSpace, arch: Arch) -> Graph:
    """The same layers, shapes and clamps as the trained network's graph, with random weights."""
    specs = layers(space, arch)
    rng = np.random.default_rng(int(arch.id, 16))
    size = (arch.resolution, arch.resolution, space.input_channels)
    tensors = [Tensor(INPUT, size, SIGNED)]
    quants = {INPUT: SIGNED}
    for index, spec in enumerate(specs):
        keeps = spec.kind == "average_pool2d"
        own = POSITIVE if spec.relu else _signed(index)
        quants[spec.name] = quants[spec.inputs[0]] if keeps else own
        tensors.append(Tensor(spec.name, output_shape(spec), quants[spec.name]))
    ops = tuple(_op(spec, rng) for spec in specs)
    return Graph(f"net_{arch.id}", tuple(tensors), ops, (INPUT,), (OUTPUT,))


def _signed(index: int) -> Quant:
    """A scale of its own for each tensor: as when trained, the inputs of an add differ in theirs,
    and that decides which kernel adds them."""
    return Quant(SIGNED.scale * 1.0137**index, 0)


def output_shape(spec: LayerSpec) -> tuple[int, int, int]:
    """Height, width and channels behind a layer."""
    return spec.out_size, spec.out_size, spec.out_channels


def padding(spec: LayerSpec) -> Padding:
    """The engine's form of the layer's padding."""
    before, after = spec.padding
    return Padding(before, after, before, after)


def weight_shape(spec: LayerSpec) -> tuple[int, ...]:
    """The engine's layout: [Cout, KH, KW, Cin], depthwise [KH, KW, C], classifier [Cout, Cin]."""
    if spec.kind == "fully_connected":
        return spec.out_channels, spec.in_channels
    if spec.kind == "depthwise_conv2d":
        return spec.kernel, spec.kernel, spec.out_channels
    return spec.out_channels, spec.kernel, spec.kernel, spec.in_channels


def _op(spec: LayerSpec, rng: np.random.Generator) -> Op:
    square = ((spec.kernel, spec.kernel), (spec.stride, spec.stride), padding(spec))
    common = (spec.kind, spec.name, spec.inputs, spec.name, *square)
    if not spec.has_weights:
        return Op(*common)
    return Op(
        *common,
        (-128, 127),
        rng.integers(-127, 128, weight_shape(spec), np.int8),
        np.full(spec.out_channels, WEIGHT_SCALE),
        rng.integers(-999, 1000, spec.out_channels, np.int32),
    )
