"""Networks that exist to be timed: random weights, the layers that a search proposes.

Everything is a function of the seed, so that a second calibration finds every image of the first
in the results store.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.graph import Graph, Padding
from nas.network import LayerSpec, layers, macs
from nas.random_graph import Builder, Window
from nas.shape import padding
from nas.space import Arch, SearchSpace, Stage, default_space, pick

LAYER_IMAGES = 7
LAYERS_PER_IMAGE = 24
MAX_TENSOR_BYTES = 8_192
MAX_NETWORK_MACS = 700_000
MAX_DRAWS = 100
PLAIN_LAYERS, PLAIN_LAYER_MACS = 20, 8_000
INPUTS = (
    (16, 16, 1), (32, 32, 3), (28, 28, 1), (24, 24, 3), (20, 20, 3), (16, 16, 3), (32, 32, 1)
)  # fmt: skip


@dataclass(frozen=True)
class Family:
    """What tells one set of whole networks from another."""

    name: str
    stream: int
    resolutions: tuple[int, ...]
    widths: tuple[float, ...]


FITTED = Family("whole", 2, (16, 24, 32), (0.25, 0.5, 1.0))
HELD_OUT = Family("heldout", 3, (12, 20, 28), (0.375, 0.75))


def layer_images(seed: int, count: int = LAYER_IMAGES) -> list[Graph]:
    """`count` chains of about 30 layers of all kinds: many layers to one flashed image."""
    return [
        _layer_image(
            np.random.default_rng([seed, 1, index]), f"layers{index}", INPUTS[index % len(INPUTS)]
        )
        for index in range(count)
    ]


def plain_image(seed: int) -> Graph:
    """A small chain for the plain twins of the kernels, which are many times slower."""
    rng = np.random.default_rng([seed, 5])
    return _layer_image(rng, "plain", (12, 12, 3), PLAIN_LAYERS, PLAIN_LAYER_MACS)


def whole_networks(seed: int, n: int) -> list[Graph]:
    """`n` networks as a search proposes them, to fit on."""
    return _networks(FITTED, seed, n)


def heldout_networks(seed: int, n: int) -> list[Graph]:
    """`n` networks of other widths and resolutions than `whole_networks`, never fitted on."""
    return _networks(HELD_OUT, seed, n)


def random_input(graph: Graph, seed: int) -> NDArray[np.int8]:
    """An int8 input [H, W, C] of `graph`."""
    rng = np.random.default_rng([seed, 4])
    return rng.integers(-128, 128, graph.tensor(graph.input).shape).astype(np.int8)


def _networks(family: Family, seed: int, n: int) -> list[Graph]:
    return [
        _network(family, np.random.default_rng([seed, family.stream, index]), index)
        for index in range(n)
    ]


def _network(family: Family, rng: np.random.Generator, index: int) -> Graph:
    """One architecture of the default space or, in turn, of a random one."""
    for _ in range(MAX_DRAWS):
        space = _default_space(family, rng) if index % 2 == 0 else _random_space(family, rng)
        arch = space.sample(rng)
        if macs(space, arch) <= MAX_NETWORK_MACS:
            break
    else:
        arch = space.min_arch
    return _with_random_weights(f"{family.name}{index}", space, arch, rng)


def _default_space(family: Family, rng: np.random.Generator) -> SearchSpace:
    resolution, channels = pick(rng, family.resolutions), pick(rng, (1, 3))
    space = default_space(resolution, channels, int(rng.integers(2, 21)))
    return replace(space, widths=family.widths)


def _random_space(family: Family, rng: np.random.Generator) -> SearchSpace:
    stages = tuple(
        Stage(4 * int(rng.integers(2, 13)), pick(rng, (1, 2)), (1, 2, 3))
        for _ in range(int(rng.integers(1, 4)))
    )
    return SearchSpace(
        input_channels=pick(rng, (1, 3)),
        classes=int(rng.integers(2, 21)),
        resolutions=(pick(rng, family.resolutions),),
        stem_channels=4 * int(rng.integers(2, 7)),
        stages=stages,
        head_channels=4 * int(rng.integers(4, 25)),
        widths=family.widths,
    )


def _with_random_weights(
    name: str, space: SearchSpace, arch: Arch, rng: np.random.Generator
) -> Graph:
    builder = Builder(name, rng, (arch.resolution, arch.resolution, space.input_channels))
    for spec in layers(space, arch):
        _append(builder, spec)
    return builder.graph()


def _append(builder: Builder, spec: LayerSpec) -> None:
    builder.add(
        spec.kind,
        spec.out_channels,
        window=Window(spec.kernel, spec.stride, padding(spec)),
        relu=spec.relu,
        inputs=spec.inputs,
        name=spec.name,
    )


def _layer_image(
    rng: np.random.Generator,
    name: str,
    shape: tuple[int, int, int],
    count: int = LAYERS_PER_IMAGE,
    max_layer_macs: int = 100_000,
) -> Graph:
    builder = Builder(name, rng, shape, max_layer_macs)
    _conv(builder)
    for _ in range(count):
        STEPS[int(rng.choice(len(STEPS), p=STEP_SHARES))](builder)
    _pointwise(builder, 4 * int(rng.integers(2, 25)))
    builder.add("average_pool2d", window=Window(builder.last.shape[0]))
    for _ in range(3):
        builder.add("fully_connected", int(rng.integers(2, 80)), relu=False)
    return builder.graph()


def _conv(builder: Builder) -> None:
    """A convolution with a window: the stem of a network, seldom in its middle."""
    kernel, stride = pick(builder.rng, (3, 3, 5)), pick(builder.rng, (1, 2))
    size, _, inputs = builder.last.shape
    macs_per_channel = kernel * kernel * inputs * ((size - 1) // stride + 1) ** 2
    most = max(1, min(8, builder.max_layer_macs // (4 * macs_per_channel)))
    _windowed(builder, "conv2d", kernel, stride, 4 * int(builder.rng.integers(1, most + 1)))


def _depthwise(builder: Builder, stride: int = 1) -> None:
    """The widest window, of one drawn, that keeps the layer small."""
    size, _, channels = builder.last.shape
    kernel = pick(builder.rng, (3, 5, 7))
    while kernel > 3 and (kernel * size // stride) ** 2 * channels > builder.max_layer_macs:
        kernel -= 2
    _windowed(builder, "depthwise_conv2d", kernel, stride, channels)


def _strided_depthwise(builder: Builder) -> None:
    _depthwise(builder, stride=2 if builder.last.shape[0] > 4 else 1)


def _windowed(builder: Builder, kind: str, kernel: int, stride: int, channels: int) -> None:
    size, before = builder.last.shape[0], kernel // 2
    out = (size - 1) // stride + 1
    after = max(0, (out - 1) * stride + kernel - size - before)
    pad = Padding(before, after, before, after)
    builder.add(kind, channels, window=Window(kernel, stride, pad))


def _expand(builder: Builder) -> None:
    """A pointwise layer of 4 to 192 channels, now and then not a multiple of 4."""
    channels = 4 * int(np.exp(builder.rng.uniform(0, np.log(48))))
    _pointwise(builder, channels - pick(builder.rng, (0, 0, 0, 0, 1, 2)))


def _project(builder: Builder) -> None:
    _pointwise(builder, 4 * int(builder.rng.integers(1, 13)), relu=False)


def _clamped(builder: Builder) -> None:
    """A pointwise layer with a ReLU6, which costs a pass of its own."""
    _pointwise(builder, 4 * int(builder.rng.integers(2, 17)), clamp=(-128, 100))


def _pointwise(
    builder: Builder, channels: int, *, relu: bool = True, clamp: tuple[int, int] = (-128, 127)
) -> None:
    size, _, inputs = builder.last.shape
    most = min(MAX_TENSOR_BYTES // size**2, builder.max_layer_macs // (size**2 * inputs))
    builder.add("conv2d", max(1, min(channels, most)), relu=relu, clamp=clamp)


def _residual(builder: Builder) -> None:
    """A depthwise layer and the add around it."""
    before = builder.last.name
    _depthwise(builder)
    builder.add("add", inputs=(before, builder.last.name), relu=False)


def _small_pool(builder: Builder) -> None:
    if builder.last.shape[0] >= 8:
        builder.add("average_pool2d", window=Window(2, 2))


STEPS: tuple[Callable[[Builder], None], ...] = (
    _expand, _project, _clamped, _depthwise, _strided_depthwise, _residual, _small_pool, _conv,
)  # fmt: skip
STEP_SHARES = (0.26, 0.18, 0.04, 0.2, 0.08, 0.12, 0.04, 0.08)
