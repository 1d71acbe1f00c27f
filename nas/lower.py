"""From a trained torch network to the engine's: batch norms folded, channels last, int8."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from engine.graph import Graph
from engine.quantize import FloatNet, FloatOp, quantize, quantize_input
from engine.reference import run
from nas.data import Split
from nas.network import INPUT, OUTPUT, LayerSpec
from nas.plain import PlainNet
from nas.shape import padding

BATCH = 256


def float_net(net: PlainNet, name: str) -> FloatNet:
    """The same function in the engine's terms; output [1, 1, classes]."""
    stem = net.specs[0]
    shape = (stem.in_size, stem.in_size, stem.in_channels)
    return FloatNet(name, shape, tuple(_op(net, s) for s in net.specs), INPUT, OUTPUT)


def quantise(net: PlainNet, name: str, calibration: NDArray[np.float32]) -> Graph:
    """The int8 graph; activation ranges are those over `calibration` [N, H, W, C]."""
    return quantize(float_net(net, name), calibration)


def int8_accuracy(graph: Graph, split: Split) -> float:
    """Share of right answers of the int8 network, by the reference executor."""
    right = 0
    for start in range(0, len(split), BATCH):
        images = split.images[start : start + BATCH]
        logits = run(graph, quantize_input(graph, images)).reshape(len(images), -1)
        right += int((logits.argmax(axis=1) == split.labels[start : start + BATCH]).sum())
    return right / len(split)


@torch.no_grad()
def _op(net: PlainNet, spec: LayerSpec) -> FloatOp:
    weights, bias = _parameters(net, spec) if spec.has_weights else (None, None)
    return FloatOp(
        spec.kind,
        spec.name,
        spec.inputs,
        spec.name,
        (spec.kernel, spec.kernel),
        (spec.stride, spec.stride),
        padding(spec),
        "relu" if spec.relu else "none",
        weights,
        bias,
    )


def _parameters(net: PlainNet, spec: LayerSpec) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weights in the engine's layout and bias, with the batch norm folded into both."""
    weights = net.weight(spec).numpy()
    if spec.kind == "fully_connected":
        return weights, net.linear(spec).bias.numpy()
    gain, bias = net.folded_norm(spec)
    folded = weights * gain[:, None, None, None]
    if spec.kind == "depthwise_conv2d":
        return folded[:, 0].transpose(1, 2, 0), bias
    return folded.transpose(0, 2, 3, 1), bias
