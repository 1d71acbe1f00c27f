"""The table of kernels, one file a family of operators."""

from engine.kernel_row import KernelRow
from engine.rows import add, conv, pool

ROWS: tuple[KernelRow, ...] = (*conv.ROWS, *pool.ROWS, *add.ROWS)
"""Fast kernels before the plain twins of their kind: the first that accepts an operator runs it."""
