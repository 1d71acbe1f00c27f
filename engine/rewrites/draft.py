"""Draft: a graph under change, checked again only when it is finished."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

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
        return next((op for op in self.ops if op.output == name), None)

    def readers(self, name: str) -> list[Op]:
        """The operators that read tensor `name`, each once."""
        return [op for op in self.ops if name in op.inputs]

    def is_outside(self, name: str) -> bool:
        """Whether tensor `name` is an input or output of the graph, which must stay as it is."""
        return name in self.graph.inputs or name in self.graph.outputs

    def only_reader(self, name: str) -> Op | None:
        """The one operator that needs tensor `name`; None when others or a caller do too."""
        readers = self.readers(name)
        return readers[0] if len(readers) == 1 and not self.is_outside(name) else None

    def swap(self, op: Op, *others: Op) -> None:
        """`others` in the place of `op`."""
        index = self.ops.index(op)
        self.ops[index : index + 1] = others

    def redirect(self, old: str, new: str) -> None:
        """Let every reader of tensor `old` read tensor `new`."""
        self.ops = [_reading(op, old, new) for op in self.ops]

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


def _reading(op: Op, old: str, new: str) -> Op:
    if old not in op.inputs:
        return op
    return replace(op, inputs=tuple(new if name == old else name for name in op.inputs))


def draft(graph: Graph) -> Draft:
    """A copy of `graph` that may be changed."""
    tensors = {tensor.name: tensor for tensor in graph.tensors}
    return Draft(graph, list(graph.ops), tensors, dict(graph.constants))


Rule = Callable[[Draft, Op], bool]
"""Tries to change a draft at one operator; whether it did."""


def everywhere(rule: Rule) -> Callable[[Graph], Graph | None]:
    """A rewrite that tries `rule` at each operator that is still there, once."""

    def apply(graph: Graph) -> Graph | None:
        change = draft(graph)
        tried = [rule(change, op) for op in graph.ops if op in change.ops]
        return change.finished() if any(tried) else None

    return apply
