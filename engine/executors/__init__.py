"""What each kind of operator computes in numpy, bit-exact to TFLite's int8 reference kernels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from engine.graph import Op, Tensor

Int8s = NDArray[np.int8]
Executor = Callable[[Op, list[Int8s], list[Tensor], Tensor], Int8s]
"""(operator, its inputs [N, H, W, C], their tensors, the output's tensor) -> [N, H, W, C].

Inputs may be read-only and the output may share their memory.
"""

__all__ = ["Executor", "Int8s", "clamped"]


def clamped(op: Op, value: NDArray[np.integer]) -> Int8s:
    """`value` within the range of the fused activation, as int8."""
    held: Int8s = np.clip(value, *op.clamp).astype(np.int8)
    return held
