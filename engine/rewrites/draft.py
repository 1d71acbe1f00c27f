"""Draft: a graph under change, checked again only when it is finished."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from engine.bounds import Interval, bounds
from engine.graph import Graph, Op, Tensor


@dataclass
class Draft:
    """The parts of a graph, to be changed in place; `finished` makes a graph of them."""

    graph: Graph
    ops: list[Op]
    tensors: dict[str, Tensor]
    constants: dict[str, NDArray[np.int8]]

    def maker(self, name: str) -> Op | None:
        """The operator that writes tensor `name`; None for inputs and constants."""
        return self._makers.get(name)

    def readers(self, name: str) -> list[Op]:
        """The operators that read tensor `name`, each once, in order."""
        return list(self._readers.get(name, ()))

    @cached_property
    def _makers(self) -> dict[str, Op]:
        return {op.output: op for op in self.ops}

    @cached_property
    def _readers(self) -> dict[str, list[Op]]:
        readers: dict[str, list[Op]] = {}
        for op in self.ops:
            for name in dict.fromkeys(op.inputs):
                readers.setdefault(name, []).append(op)
        return readers

    def has(self, op: Op) -> bool:
        """Whether `op` is still there, unchanged."""
        return self._makers.get(op.output) is op

    def is_outside(self, name: str) -> bool:
        """Whether tensor `name` is an input or output of the graph, which must stay as it is."""
        return name in self.graph.inputs or name in self.graph.outputs

    def only_reader(self, name: str) -> Op | None:
        """The one operator that needs tensor `name`; None when others or a caller do too."""
        readers = self.readers(name)
        return readers[0] if len(readers) == 1 and not self.is_outside(name) else None

    def fresh(self, like: Tensor) -> str:
        """The name of a new tensor with the shape and quantisation of `like`."""
        numbers = (f"{like.name} {number}" for number in itertools.count(2))
        name = next(name for name in numbers if name not in self.tensors)
        self.tensors[name] = replace(like, name=name)
        return name

    def set_constant(self, name: str, values: NDArray[np.int8]) -> None:
        """Let tensor `name` be the constant `values` [H, W, C]."""
        height, width, channels = values.shape
        self.constants[name] = values
        self.tensors[name] = replace(self.tensors[name], shape=(height, width, channels))

    def is_read_without(self, op: Op) -> bool:
        """Whether each input of the graph would have a reader if `op` were gone."""
        needed = set(self.graph.outputs)
        for other in reversed(self.ops):
            if other is not op and other.output in needed:
                needed.update(other.inputs)
        return needed.issuperset(self.graph.inputs)

    @cached_property
    def intervals(self) -> dict[str, Interval]:
        """What the tensors of the graph can hold; a rule must not give an old name new values."""
        return bounds(self.graph)

    def swap(self, op: Op, *others: Op) -> None:
        """`others` in the place of `op`."""
        index = self.ops.index(op)
        self.ops[index : index + 1] = others
        for indexed in ("_makers", "_readers"):
            vars(self).pop(indexed, None)

    def redirect(self, old: str, new: str) -> None:
        """Let every reader of tensor `old` read tensor `new`."""
        for op in self.readers(old):
            inputs = tuple(new if name == old else name for name in op.inputs)
            self.swap(op, replace(op, inputs=inputs))

    def bypass(self, op: Op) -> bool:
        """Remove `op`, whose output always equals its first input; False if it must stay."""
        source, output = op.inputs[0], op.output
        if replace(self.tensors[source], name=output) != self.tensors[output]:
            return False
        if output in self.graph.outputs:
            return self.rename(source, op)
        if source in self.constants:
            return False
        self.swap(op)
        self.redirect(output, source)
        return True

    def rename(self, source: str, op: Op) -> bool:
        """Let the maker of tensor `source` write the output of `op`, which goes."""
        maker = self.maker(source)
        if maker is None or self.is_outside(source):
            return False
        self.swap(op)
        self.swap(maker, replace(maker, output=op.output))
        self.redirect(source, op.output)
        return True

    def finished(self) -> Graph | None:
        """The graph, without operators, tensors and constants that nobody needs.

        None when an input would lose its last reader: a graph's interface never changes.
        """
        needed, ops = set(self.graph.outputs), []
        for op in reversed(self.ops):
            if op.output in needed:
                needed.update(op.inputs)
                ops.append(op)
        if not needed.issuperset(self.graph.inputs):
            return None
        return Graph(
            self.graph.name,
            tuple(tensor for name, tensor in self.tensors.items() if name in needed),
            tuple(reversed(ops)),
            self.graph.inputs,
            self.graph.outputs,
            {name: values for name, values in self.constants.items() if name in needed},
        )


def draft(graph: Graph) -> Draft:
    """A copy of `graph` that may be changed."""
    tensors = {tensor.name: tensor for tensor in graph.tensors}
    return Draft(graph, list(graph.ops), tensors, dict(graph.constants))


Rule = Callable[[Draft, Op], bool]
"""Tries to change a draft at one operator; whether it did."""


def everywhere(rule: Rule) -> Callable[[Graph], Graph | None]:
    """A rewrite that tries `rule` once at each operator that is still there."""

    def apply(graph: Graph) -> Graph | None:
        change = draft(graph)
        tried = [rule(change, op) for op in graph.ops if change.has(op)]
        return change.finished() if any(tried) else None

    return apply
