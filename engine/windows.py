"""The windows that a kernel sees while it slides over a batch of images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

if TYPE_CHECKING:
    from engine.graph import Padding


def windows(
    x: NDArray[Any],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: Padding,
    dilation: tuple[int, int] = (1, 1),
    fill: int = 0,
) -> NDArray[Any]:
    """[N, Ho, Wo, C, KH, KW], a view into `x` [N, H, W, C] padded with `fill`.

    dilation: rows and columns from one cell of the kernel to the next.
    """
    rows, columns = (padding.top, padding.bottom), (padding.left, padding.right)
    padded = np.pad(x, ((0, 0), rows, columns, (0, 0)), constant_values=fill)
    (down, right), (tall, wide) = dilation, kernel
    reach = (tall - 1) * down + 1, (wide - 1) * right + 1
    every = sliding_window_view(padded, reach, axis=(1, 2))
    return every[:, :: stride[0], :: stride[1], :, ::down, ::right]
