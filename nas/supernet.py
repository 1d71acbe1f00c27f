"""The elastic network: all architectures of a space in one set of weights.

A narrower layer is the first channels, a smaller kernel the centre, a shallower stage the first
blocks. `net(x, arch)` reads no state but the weights, so it is re-entrant.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from nas.data import resize_weights
from nas.network import INPUT, OUTPUT, LayerSpec, layers
from nas.plain import PlainNet
from nas.space import Arch, SearchSpace

Statistics = Mapping[str, tuple[Tensor, Tensor]]  # layer -> mean and variance, each [C]


class Supernet(nn.Module):
    """Weights of the largest network of `space`; made the same way from the same seed."""

    def __init__(self, space: SearchSpace, seed: int = 0) -> None:
        super().__init__()
        self.space = space
        generator = torch.Generator().manual_seed(seed)
        self.weights, self.gains, self.biases = (nn.ParameterDict() for _ in range(3))
        for spec in layers(space, space.max_arch):
            if spec.has_weights:
                self.weights[spec.name] = nn.Parameter(_initial(spec, generator))
                self.biases[spec.name] = nn.Parameter(torch.zeros(spec.out_channels))
            if spec.has_norm:
                self.gains[spec.name] = nn.Parameter(torch.ones(spec.out_channels))

    def forward(self, x: Tensor, arch: Arch, statistics: Statistics | None = None) -> Tensor:
        """Logits [N, classes] of images [N, C, H, W].

        Without `statistics` every batch normalisation uses those of this very batch, as training
        does; with those of `recalibrate` each image is judged on its own.
        """
        return self._walk(x, arch, statistics, None)

    @torch.no_grad()
    def recalibrate(self, images: Tensor, arch: Arch) -> Statistics:
        """Batch-norm statistics of this one architecture over `images`.

        Shared running averages would belong to no network: accuracies from them are noise.
        """
        record: dict[str, tuple[Tensor, Tensor]] = {}
        self._walk(images, arch, None, record)
        return record

    def extract(self, arch: Arch, images: Tensor) -> PlainNet:
        """A copy of one architecture that shares nothing, with its own statistics of `images`.

        It gives the same outputs as the supernet gives with `recalibrate(images, arch)`.
        """
        self.space.check(arch)
        specs = layers(self.space, arch)
        net = PlainNet(specs)
        statistics = self.recalibrate(images, arch)
        with torch.no_grad():
            for spec in specs:
                if spec.has_weights:
                    net.weight(spec).copy_(self._weight(spec))
                if spec.kind == "fully_connected":
                    net.linear(spec).bias.copy_(self.biases[spec.name])
                elif spec.has_norm:
                    mean, variance = statistics[spec.name]
                    count = spec.out_channels
                    net.set_norm(
                        spec,
                        self.gains[spec.name][:count],
                        self.biases[spec.name][:count],
                        mean,
                        variance,
                    )
        return net.eval()

    def _weight(self, spec: LayerSpec) -> Tensor:
        weight: Tensor = self.weights[spec.name]
        if spec.kind == "fully_connected":
            return weight[:, : spec.in_channels]
        edge = (weight.shape[-1] - spec.kernel) // 2
        centre = slice(edge, edge + spec.kernel)
        inputs = 1 if spec.kind == "depthwise_conv2d" else spec.in_channels
        return weight[: spec.out_channels, :inputs, centre, centre]

    def _walk(
        self,
        x: Tensor,
        arch: Arch,
        statistics: Statistics | None,
        record: dict[str, tuple[Tensor, Tensor]] | None,
    ) -> Tensor:
        values = {INPUT: resized(x, arch.resolution)}
        for spec in layers(self.space, arch):
            inputs = [values[name] for name in spec.inputs]
            values[spec.name] = self._layer(spec, inputs, statistics, record)
        return values[OUTPUT]

    def _layer(
        self,
        spec: LayerSpec,
        inputs: list[Tensor],
        statistics: Statistics | None,
        record: dict[str, tuple[Tensor, Tensor]] | None,
    ) -> Tensor:
        if spec.kind == "add":
            return inputs[0] + inputs[1]
        if spec.kind == "average_pool2d":
            return inputs[0].mean((2, 3))
        if spec.kind == "fully_connected":
            return functional.linear(inputs[0], self._weight(spec), self.biases[spec.name])
        groups = spec.out_channels if spec.kind == "depthwise_conv2d" else 1
        half = spec.kernel // 2
        y: Tensor = functional.conv2d(
            inputs[0], self._weight(spec), None, spec.stride, half, groups=groups
        )
        y = self._norm(spec, y, statistics, record)
        return functional.relu(y) if spec.relu else y

    def _norm(
        self,
        spec: LayerSpec,
        y: Tensor,
        statistics: Statistics | None,
        record: dict[str, tuple[Tensor, Tensor]] | None,
    ) -> Tensor:
        gain = self.gains[spec.name][: spec.out_channels]
        bias = self.biases[spec.name][: spec.out_channels]
        if record is not None:
            var_mean = torch.var_mean(y, (0, 2, 3), correction=0)
            record[spec.name] = (var_mean[1], var_mean[0])
        if statistics is None:
            normal: Tensor = functional.batch_norm(y, None, None, gain, bias, training=True)
        else:
            mean, variance = statistics[spec.name]
            normal = functional.batch_norm(y, mean, variance, gain, bias)
        return normal


def resized(x: Tensor, size: int) -> Tensor:
    """Images [N, C, H, W] at the resolution of an architecture, as `nas.data.resize` does it."""
    if x.shape[-1] == size:
        return x
    rows = torch.from_numpy(resize_weights(x.shape[-2], size))
    columns = torch.from_numpy(resize_weights(x.shape[-1], size))
    return rows @ x @ columns.T


def _initial(spec: LayerSpec, generator: torch.Generator) -> Tensor:
    """He initialisation by fan-in."""
    if spec.kind == "fully_connected":
        shape: tuple[int, ...] = (spec.out_channels, spec.in_channels)
        fan_in = spec.in_channels
    else:
        inputs = 1 if spec.kind == "depthwise_conv2d" else spec.in_channels
        shape = (spec.out_channels, inputs, spec.kernel, spec.kernel)
        fan_in = inputs * spec.kernel**2
    return torch.randn(shape, generator=generator) * math.sqrt(2 / fan_in)
