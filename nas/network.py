"""The layers of an architecture, in order: the one list that training, lowering and planning walk.

The supernet, the plain network and the int8 graph of an architecture are all made from it, so they
cannot differ in structure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from nas.errors import SpaceError
from nas.space import Arch, Block, SearchSpace

Kind = Literal["conv2d", "depthwise_conv2d", "fully_connected", "average_pool2d", "add"]


@dataclass(frozen=True)
class LayerSpec:
    """One layer; its output is named after it. Square images, sizes in pixels."""

    kind: Kind
    name: str
    inputs: tuple[str, ...]
    in_channels: int
    out_channels: int
    in_size: int
    out_size: int
    kernel: int = 1
    stride: int = 1
    relu: bool = False

    @property
    def has_weights(self) -> bool:
        """Whether training has something to learn here."""
        return self.kind in ("conv2d", "depthwise_conv2d", "fully_connected")

    @property
    def has_norm(self) -> bool:
        """Whether a batch normalisation follows."""
        return self.kind in ("conv2d", "depthwise_conv2d")

    @property
    def padding(self) -> tuple[int, int]:
        """Pixels before and after, in both directions: as much as the windows reach."""
        if self.kind not in ("conv2d", "depthwise_conv2d"):
            return 0, 0
        before = self.kernel // 2
        reach = (self.out_size - 1) * self.stride + self.kernel
        return before, max(0, reach - self.in_size - before)


INPUT = "input"
OUTPUT = "classifier"


@lru_cache(maxsize=4096)
def layers(space: SearchSpace, arch: Arch) -> tuple[LayerSpec, ...]:
    """Stem, inverted residuals, head, global average pool, classifier."""

    def scaled(channels: int) -> int:
        return space.channels(channels, arch.width)

    size = arch.resolution
    stem = _conv("stem", INPUT, space.input_channels, scaled(space.stem_channels), size)
    stem = _windowed(stem, kernel=3, stride=2)
    specs = [stem]
    for i, blocks in enumerate(arch.stages):
        out = scaled(space.stages[i].channels)
        specs += stage_layers(f"s{i}", specs[-1], blocks, out, space.stages[i].stride)
    last = specs[-1]
    head = _conv("head", last.name, last.out_channels, scaled(space.head_channels), last.out_size)
    features, size = head.out_channels, head.out_size
    pool = LayerSpec("average_pool2d", "pool", ("head",), features, features, size, 1, size)
    classifier = LayerSpec("fully_connected", OUTPUT, ("pool",), features, space.classes, 1, 1)
    return (*specs, head, pool, classifier)


def stage_layers(
    name: str, before: LayerSpec, blocks: Sequence[Block], out_channels: int, stride: int
) -> list[LayerSpec]:
    """Inverted residuals behind the layer `before`; the first one has the stride."""
    specs = [before]
    for j, block in enumerate(blocks):
        step = stride if j == 0 else 1
        specs += _inverted_residual(f"{name}b{j}", specs[-1], block, out_channels, step)
    return specs[1:]


def _inverted_residual(
    name: str, before: LayerSpec, block: Block, out_channels: int, stride: int
) -> Iterator[LayerSpec]:
    """Expand (1x1), depthwise (kxk), project (1x1, linear), and the residual add if asked."""
    channels, size = before.out_channels, before.out_size
    middle = channels * block.expansion
    expand = _conv(f"{name}_expand", before.name, channels, middle, size)
    depthwise = _windowed(
        _conv(f"{name}_depthwise", expand.name, middle, middle, size),
        block.kernel,
        stride,
        "depthwise_conv2d",
    )
    project = _conv(f"{name}_project", depthwise.name, middle, out_channels, depthwise.out_size)
    project = replace(project, relu=False)
    yield from (expand, depthwise, project)
    if block.skip:
        if (channels, size) != (out_channels, project.out_size):
            raise SpaceError(f"{name} has a skip, but its input and output differ in shape")
        yield LayerSpec(
            "add",
            f"{name}_add",
            (before.name, project.name),
            out_channels,
            out_channels,
            project.out_size,
            project.out_size,
        )


def _conv(name: str, source: str, in_channels: int, out_channels: int, in_size: int) -> LayerSpec:
    """A 1x1 convolution with ReLU."""
    return LayerSpec(
        "conv2d", name, (source,), in_channels, out_channels, in_size, in_size, relu=True
    )


def _windowed(spec: LayerSpec, kernel: int, stride: int, kind: Kind = "conv2d") -> LayerSpec:
    """`spec` with odd kernels padded by half their size."""
    out_size = (spec.in_size - 1) // stride + 1
    return replace(spec, kind=kind, kernel=kernel, stride=stride, out_size=out_size)


def macs(space: SearchSpace, arch: Arch) -> int:
    """Multiply-accumulates of one inference, padding counted as if it were data."""
    return sum(map(_layer_macs, layers(space, arch)))


def _layer_macs(spec: LayerSpec) -> int:
    pixels = spec.out_size**2
    taps = spec.kernel**2
    if spec.kind == "depthwise_conv2d":
        return pixels * taps * spec.out_channels
    if spec.kind in ("conv2d", "fully_connected"):
        return pixels * taps * spec.in_channels * spec.out_channels
    return 0
