"""The int8 graph of an architecture before it has weights: enough to plan, build and predict."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from engine.graph import Graph, Op, Padding, Quant, Tensor
from nas.network import INPUT, OUTPUT, LayerSpec, layers
from nas.space import Arch, SearchSpace

SIGNED = Quant(1 / 32, 0)
POSITIVE = Quant(1 / 32, -128)  # behind a ReLU: its clamp is then all of int8, as when trained
WEIGHT_SCALES = 1 / 1024, 1 / 256
"""Least and most of a channel's. As when trained they differ and are no powers of two: that decides
whether layers without a ReLU are requantised the short way."""
SCALES = 7


@lru_cache(maxsize=1024)
def shape_graph(space: SearchSpace, arch: Arch) -> Graph:
    """The same layers, shapes and clamps as the trained network's graph, with random weights."""
    specs = layers(space, arch)
    size = (arch.resolution, arch.resolution, space.input_channels)
    tensors = [Tensor(INPUT, size, SIGNED)]
    quants = {INPUT: SIGNED}
    for index, spec in enumerate(specs):
        keeps = spec.kind == "average_pool2d"
        own = POSITIVE if spec.relu else _signed(index)
        quants[spec.name] = quants[spec.inputs[0]] if keeps else own
        tensors.append(Tensor(spec.name, output_shape(spec), quants[spec.name]))
    ops = tuple(_op(spec) for spec in specs)
    return Graph(f"net_{arch.id}", tuple(tensors), ops, (INPUT,), (OUTPUT,))


def _signed(index: int) -> Quant:
    """Neighbours differ in scale: as when trained, the inputs of an add do, and that decides which
    kernel adds them. SCALES are few, so that few lines are searched for."""
    return Quant(SIGNED.scale * 1.0137 ** (index % SCALES), 0)


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


@lru_cache(maxsize=4096)  # architectures share layers, and layers what is proven of them
def _op(spec: LayerSpec) -> Op:
    square = ((spec.kernel, spec.kernel), (spec.stride, spec.stride), padding(spec))
    common = (spec.kind, spec.name, spec.inputs, spec.name, *square)
    if not spec.has_weights:
        return Op(*common)
    return Op(*common, (-128, 127), *_numbers(weight_shape(spec), spec.out_channels))


@lru_cache(maxsize=1024)
def _numbers(
    shape: tuple[int, ...], channels: int
) -> tuple[NDArray[np.int8], NDArray[np.float64], NDArray[np.int32]]:
    """Weights, scales and bias of a layer; drawn from its shape, so that equal ones are equal."""
    rng = np.random.default_rng((*shape, channels))
    weights = rng.integers(-127, 128, shape, np.int8)
    bias = rng.integers(-999, 1000, channels, np.int32)
    scales = rng.uniform(*WEIGHT_SCALES, channels)
    for numbers in (weights, scales, bias):
        numbers.setflags(write=False)  # shared, not copied, by the operators
    return weights, scales, bias
