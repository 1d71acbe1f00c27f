"""The table of kernels, one file a family of operators."""

from engine.kernel_row import KernelRow
from engine.rows import (
    binary,
    conv,
    dense,
    image,
    lookup,
    mean,
    movement,
    pool,
    softmax,
    swept,
    tiled,
)

ROWS: tuple[KernelRow, ...] = (
    *image.ROWS,
    *tiled.ROWS,
    *dense.ROWS,
    *swept.ROWS,
    *conv.ROWS,
    *pool.ROWS,
    *binary.ROWS,
    *movement.ROWS,
    *lookup.ROWS,
    *mean.ROWS,
    *softmax.ROWS,
)
"""Fast kernels before the plain twins of their kind: the first that accepts an operator runs it."""
