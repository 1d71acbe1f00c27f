"""The windows that a kernel sees while it slides over a batch of images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

if TYPE_CHECKING:
    from engine.graph import Padding


def windows(
    x: NDArray[Any], kernel: tuple[int, int], stride: tuple[int, int], padding: Padding
) -> NDArray[Any]:
    """[N, Ho, Wo, C, KH, KW], a view into `x` [N, H, W, C] padded with zeros."""
    rows, columns = (padding.top, padding.bottom), (padding.left, padding.right)
    padded = np.pad(x, ((0, 0), rows, columns, (0, 0)))
    every = sliding_window_view(padded, kernel, axis=(1, 2))
    return every[:, :: stride[0], :: stride[1]]
