"""What is measured: MLPerf Tiny's networks, with and without rewrites, and the kernel suite."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from engine.benchmarks import kernel_suite
from engine.chooser import select
from engine.cmodel import CModel, Layer
from engine.emit import emit
from engine.graph import Graph, Op, op_macs
from engine.mode import FASTEST, MODES, Mode
from farm.benchmark.record import Variant
from farm.model_file import expected_output, input_bytes, load_input
from farm.network_file import Network, load_network

SUFFIX = "_int8.tflite"
REFERENCE = ("mlperf_vww_96", "mlperf_ic_resnet8", "mlperf_kws_dscnn", "mlperf_ad01")
_SEED = 0
_FEW = 3  # input channels of a first convolution, at most
_CLASSES = {64: "64 channels and more", 16: "16 to 63 channels", 0: "below 16 channels"}


@dataclass(frozen=True, eq=False)
class Case:
    """A network to be measured. given: as in its file; graph: what is compiled; mode: how."""

    name: str
    variant: Variant
    given: Graph
    graph: Graph
    mode: Mode = FASTEST

    @cached_property
    def model(self) -> CModel:
        """The code that is measured."""
        return emit(self.graph, selection=select(self.graph, self.mode))

    @cached_property
    def inputs(self) -> bytes:
        """The same random input always."""
        return input_bytes(self.given, load_input(self.given, None, _SEED))

    @cached_property
    def expected(self) -> bytes:
        """By the reference, of the file as it is given."""
        return expected_output(self.given, load_input(self.given, None, _SEED))

    @cached_property
    def given_macs(self) -> Mapping[str, int]:
        """Multiply-accumulates of the file's operators, by name."""
        return {op.name: op_macs(self.given, op) for op in self.given.ops}

    def label(self, layer: Layer) -> str:
        """What kind of layer it is in the file; of one that only a rewrite made, in the code."""
        for graph in (self.given, self.graph):
            if op := next((op for op in graph.ops if op.name == layer.name), None):
                return kind_of(graph, op)
        return layer.kind


def networks(folder: Path) -> tuple[list[Case], list[str]]:
    """Cases of every model that is there; and for each that is not, why it is skipped."""
    cases: list[Case] = []
    skipped: list[str] = []
    for name in REFERENCE:
        path = folder / f"{name}{SUFFIX}"
        if path.is_file():
            cases += _cases(name, load_network(path))
        else:
            skipped.append(f"{name} is skipped: {path} is not there")
    return cases, skipped


def _cases(name: str, network: Network) -> Iterator[Case]:
    """Each mode, with rewrites and without."""
    for mode in MODES:
        yield Case(name, "folded", network.given, network.graph, mode)
        yield Case(name, "file", network.given, network.given, mode)


def kernels() -> list[Case]:
    """The suite, one case a kernel."""
    return [Case(graph.name, "kernels", graph, graph) for graph in kernel_suite()]


def kind_of(graph: Graph, op: Op) -> str:
    """A layer's kind as people name it, with what its cost depends on most."""
    size = "x".join(map(str, op.kernel))
    stride = "" if op.stride == (1, 1) else f" s{op.stride[0]}"
    channels = graph.tensor(op.inputs[0]).shape[2]
    if op.kind == "depthwise_conv2d":
        return f"depthwise {size}{stride}"
    if op.kind != "conv2d":
        return "pool" if op.kind.endswith("_pool2d") else op.kind.replace("_", " ")
    if op.kernel == (1, 1) and not stride:
        return f"pointwise, {next(text for low, text in _CLASSES.items() if channels >= low)}"
    return f"{'first convolution' if channels <= _FEW else 'convolution'} {size}{stride}"
