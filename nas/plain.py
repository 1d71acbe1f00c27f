"""One architecture as a plain torch module: what is fine-tuned, quantised and exported."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nas.network import LayerSpec


class PlainNet(nn.Module):
    """Standard convolutions, batch norms and a classifier, named after their layers."""

    def __init__(self, specs: Sequence[LayerSpec]) -> None:
        super().__init__()
        self.specs = tuple(specs)
        self.ops = nn.ModuleDict({s.name: _module(s) for s in specs if s.has_weights})
        self.norms = nn.ModuleDict(
            {s.name: nn.BatchNorm2d(s.out_channels) for s in specs if s.has_norm}
        )

    def forward(self, x: Tensor) -> Tensor:
        """Output of the last layer for images [N, C, H, W]: logits [N, classes] of a whole net."""
        values = {self.specs[0].inputs[0]: x}
        for spec in self.specs:
            values[spec.name] = self._layer(spec, [values[name] for name in spec.inputs])
        return values[self.specs[-1].name]

    def _layer(self, spec: LayerSpec, inputs: list[Tensor]) -> Tensor:
        if spec.kind == "add":
            return inputs[0] + inputs[1]
        if spec.kind == "average_pool2d":
            return inputs[0].mean((2, 3))
        y = cast(Tensor, self.ops[spec.name](inputs[0]))
        if not spec.has_norm:
            return y
        y = cast(Tensor, self.norms[spec.name](y))
        return torch.relu(y) if spec.relu else y

    def weight(self, spec: LayerSpec) -> Tensor:
        """[Cout, Cin, K, K] of a convolution (Cin 1 if depthwise), [Cout, Cin] of a classifier."""
        return cast(Tensor, self.ops[spec.name].weight)

    def linear(self, spec: LayerSpec) -> nn.Linear:
        """The classifier's module."""
        return cast(nn.Linear, self.ops[spec.name])

    def norm(self, spec: LayerSpec) -> nn.BatchNorm2d:
        """The batch normalisation behind a convolution."""
        return cast(nn.BatchNorm2d, self.norms[spec.name])

    @torch.no_grad()
    def folded_norm(self, spec: LayerSpec) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Gain and bias, each [C], that do to the convolution what the batch norm does."""
        norm = self.norm(spec)
        mean, variance = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
        gain = norm.weight / torch.sqrt(variance + norm.eps)
        return gain.numpy(), (norm.bias - mean * gain).numpy()

    def set_norm(
        self, spec: LayerSpec, gain: Tensor, bias: Tensor, mean: Tensor, variance: Tensor
    ) -> None:
        """Take gain, bias and statistics, each [C], without sharing them."""
        norm = self.norm(spec)
        norm.load_state_dict(
            {
                "weight": gain,
                "bias": bias,
                "running_mean": mean,
                "running_var": variance,
                "num_batches_tracked": torch.tensor(0),
            }
        )

    @torch.no_grad()
    def recalibrate(self, images: Tensor) -> None:
        """Replace the statistics by those over `images`, and judge by them from now on."""
        self.eval()
        values = {self.specs[0].inputs[0]: images}
        for spec in self.specs:
            inputs = [values[name] for name in spec.inputs]
            if spec.has_norm:
                y = self.ops[spec.name](inputs[0])
                variance, mean = torch.var_mean(y, (0, 2, 3), correction=0)
                norm = self.norm(spec)
                self.set_norm(spec, norm.weight, norm.bias, mean, variance)
            values[spec.name] = self._layer(spec, inputs)


def _module(spec: LayerSpec) -> nn.Module:
    if spec.kind == "fully_connected":
        return nn.Linear(spec.in_channels, spec.out_channels)
    groups = spec.out_channels if spec.kind == "depthwise_conv2d" else 1
    return nn.Conv2d(
        spec.in_channels,
        spec.out_channels,
        spec.kernel,
        spec.stride,
        spec.kernel // 2,
        groups=groups,
        bias=False,
    )
