"""Cases for kernels whose input is chosen, not generated."""

import functools
from dataclasses import dataclass

import numpy as np
from kernel_cases import Case
from kernel_machines import check, machine

from engine import dispatch, reference


@dataclass(frozen=True, eq=False)
class GivenCase(Case):
    """One operator with its only input `x`, int8 [H, W, C], and one kernel that takes it."""

    x: np.ndarray

    @functools.cached_property
    def values(self):
        return reference.run_all(self.graph, self.x)


def check_on(name, pairs):
    """Run every kernel that takes the operator of each (graph, x); names of the kernels."""
    cases = [
        GivenCase(row, graph, x)
        for graph, x in pairs
        for row in dispatch.KERNELS
        if row.kind == graph.ops[0].kind and row.accepts(graph, graph.ops[0])
    ]
    runner = machine(name, cases)
    for index, case in enumerate(cases):
        check(runner, index, case)
    return [case.row.c_name for case in cases]
