"""What a network will cost on a board type: SRAM by the planner, flash by its tables, cycles by
the latency model; each corrected by what boards have measured so far.

A `Budget` is a value: `observe` returns a sharper one and leaves the old as it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Protocol, Self

from engine.cmodel import CModel, Layer
from engine.dispatch import first, layers
from engine.emit import const_bytes
from engine.plan import plan
from farm.measure import Measurement
from nas.candidate import Cost, Range, exactly
from nas.shape import shape_graph
from nas.space import Arch, SearchSpace

# What differs between images of one board type beside the parts that are counted: alignment of
# sections, stack frames of other kernels (bytes of SRAM), inlined calls (share of the code).
SRAM_SLACK_BYTES = 64
CODE_SLACK = 0.05


class Foreseen(Protocol):
    """A prediction with the bound that the search uses."""

    @property
    def cycles(self) -> float:
        """Of one inference, most likely."""

    @property
    def upper_cycles(self) -> float:
        """Exceeded rarely, at the confidence of the model."""


class CycleModel(Protocol):
    """The part of `nas.latency.LatencyModel` that a budget needs."""

    def predict(self, layers: Sequence[Layer]) -> Foreseen:
        """Cycles of one inference of these layers."""

    def layer_cycles(self, layers: Sequence[Layer]) -> tuple[float, ...]:
        """Cycles of each layer by itself."""

    def observe(self, measurements: Sequence[tuple[Sequence[Layer], Measurement]]) -> Self:
        """A model that also fits these."""


@dataclass(frozen=True)
class Skeleton:
    """The size of a network without its weights' values; bytes."""

    arena_bytes: int
    const_bytes: int
    layers: tuple[Layer, ...]

    @property
    def kernels(self) -> frozenset[str]:
        """Those that are linked."""
        return frozenset(layer.kernel for layer in self.layers)


def skeleton(model: CModel) -> Skeleton:
    """The sizes of a generated library."""
    return Skeleton(model.arena_bytes, model.const_bytes, model.layers)


@lru_cache(maxsize=4096)
def arch_skeleton(space: SearchSpace, arch: Arch) -> Skeleton:
    """The sizes of an architecture, from its graph with random weights; no C is written."""
    graph = shape_graph(space, arch)
    kernels = first(graph)
    found = plan(graph, selection=kernels)
    tables = const_bytes(graph, selection=kernels)
    return Skeleton(found.peak_bytes, tables, layers(graph, found.order, selection=kernels))


@dataclass(frozen=True)
class Seen:
    """One measured network: what it was and what it took."""

    skeleton: Skeleton
    measurement: Measurement

    @property
    def fixed_sram_bytes(self) -> int:
        """Harness and stack: all but the arena."""
        return self.measurement.peak_sram_bytes - self.skeleton.arena_bytes

    @property
    def code_bytes(self) -> int:
        """Harness, kernels and calls: all but the network's tables."""
        return self.measurement.flash_bytes - self.skeleton.const_bytes


@dataclass(frozen=True)
class TypeBudget:
    """Costs on one board type; `seen` holds one ok measurement or more."""

    board_type: str
    clock_hz: int
    model: CycleModel
    seen: tuple[Seen, ...]

    @property
    def virtual(self) -> bool:
        """Whether what is foreseen rests on virtual boards; the model refuses a mixture."""
        return any(each.measurement.virtual for each in self.seen)

    def predict(self, size: Skeleton) -> tuple[Range, dict[str, Range]]:
        """Cycles, and the ranges of everything that has a limit."""
        foreseen = self.model.predict(size.layers)
        low = max(0.0, 2 * foreseen.cycles - foreseen.upper_cycles)
        cycles = Range(low, foreseen.cycles, foreseen.upper_cycles)
        ms = 1e3 / self.clock_hz
        return cycles, {
            "sram_bytes": self._sram(size),
            "flash_bytes": self._flash(size),
            "latency_ms": Range(cycles.low * ms, cycles.value * ms, cycles.high * ms),
        }

    def _sram(self, size: Skeleton) -> Range:
        own = size.arena_bytes
        fixed = [seen.fixed_sram_bytes for seen in self.seen]
        value = own + max(fixed)
        return Range(own + min(fixed) - SRAM_SLACK_BYTES, value, value + SRAM_SLACK_BYTES)

    def _flash(self, size: Skeleton) -> Range:
        """Code of the measured network that is most alike, moved by the difference in calls."""
        code = self._code(size)
        slack = CODE_SLACK * code
        value = size.const_bytes + code
        return Range(value - slack, value, value + slack)

    def _code(self, size: Skeleton) -> float:
        def unlike(seen: Seen) -> tuple[int, int]:
            kernels = len(seen.skeleton.kernels ^ size.kernels)
            return kernels, abs(len(seen.skeleton.layers) - len(size.layers))

        nearest = min(self.seen, key=unlike)
        calls = len(size.layers) - len(nearest.skeleton.layers)
        return nearest.code_bytes + calls * self._call_bytes()

    def _call_bytes(self) -> float:
        """Code of one call, from the two measured networks that differ most in length."""
        short = min(self.seen, key=lambda seen: len(seen.skeleton.layers))
        long = max(self.seen, key=lambda seen: len(seen.skeleton.layers))
        calls = len(long.skeleton.layers) - len(short.skeleton.layers)
        return max(0.0, (long.code_bytes - short.code_bytes) / calls) if calls else 0.0

    def observe(self, seen: Sequence[Seen]) -> TypeBudget:
        """Refit everything; measurements that are not ok teach nothing."""
        fine = [each for each in seen if each.measurement.status == "ok"]
        if not fine:
            return self
        model = self.model.observe([(s.skeleton.layers, s.measurement) for s in fine])
        return replace(self, model=model, seen=(*self.seen, *fine))


def first_budget(model: CycleModel, seen: Sequence[Seen]) -> TypeBudget:
    """A budget from the first measurements of a board type (one or more, all ok)."""
    first = seen[0].measurement
    fitted = model.observe([(s.skeleton.layers, s.measurement) for s in seen])
    return TypeBudget(first.board_type, first.clock_hz, fitted, tuple(seen))


Measured = Mapping[Arch, Mapping[str, Seen]]  # architecture -> board type -> what was seen


@dataclass(frozen=True)
class Budget:
    """Costs of architectures of `space` on each board type; measured ones exactly."""

    space: SearchSpace
    types: tuple[TypeBudget, ...]
    measured: Measured = field(default_factory=dict)

    @property
    def board_types(self) -> tuple[str, ...]:
        """In the order of the costs."""
        return tuple(each.board_type for each in self.types)

    def costs(self, arch: Arch) -> tuple[Cost, ...]:
        """One for each board type."""
        return tuple(self._cost(each, arch) for each in self.types)

    def _cost(self, budget: TypeBudget, arch: Arch) -> Cost:
        seen = self.measured.get(arch, {}).get(budget.board_type)
        size = seen.skeleton if seen else arch_skeleton(self.space, arch)
        cycles, predicted = budget.predict(size)
        foreseen = Cost(budget.board_type, predicted, cycles, predicted, budget.virtual)
        if seen is None:
            return foreseen
        if seen.measurement.status != "ok":
            return replace(foreseen, measurement=seen.measurement)
        ranges = {
            "sram_bytes": exactly(seen.measurement.peak_sram_bytes),
            "flash_bytes": exactly(seen.measurement.flash_bytes),
            "latency_ms": exactly(seen.measurement.latency_ms),
        }
        return replace(foreseen, ranges=ranges, measurement=seen.measurement)

    def observe(self, measured: Measured) -> Budget:
        """Refit every board type with new measurements, and keep them as the costs they are."""
        types = tuple(
            each.observe([seen[each.board_type] for seen in measured.values()])
            for each in self.types
        )
        return replace(self, types=types, measured={**self.measured, **measured})
