"""Non-negative least squares with the same bits everywhere.

A search decides by predictions and must decide alike when it is repeated. Libraries of linear
algebra do not promise that: threads and the alignment of memory change the order of a sum. Here
every sum is a chain of element-wise operations, each rounded once, in an order that is fixed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
TOLERANCE = 1e-9  # of a gradient, over columns of unit length
ROUNDS_PER_COLUMN = 10  # far more than are needed; a bound on what bad data can cost


def solve(matrix: Array, target: Array, ridge: float) -> Array:
    """The x >= 0 that makes |matrix x - target|^2 + ridge |d x|^2 least, d the columns' lengths.

    matrix [rows, columns], target [rows]; ridge > 0 decides between columns that agree. A column
    of zeros gets 0.
    """
    length = np.sqrt(_over_rows(matrix * matrix))
    length[length == 0] = 1.0
    scaled = matrix / length
    gram = _gram(scaled)
    gram += np.diag(np.full(len(length), ridge))
    return _active_set(gram, _over_rows(scaled * target[:, None])) / length


def _over_rows(terms: Array) -> Array:
    """The sum over the first axis, one row behind the other."""
    total = np.zeros(terms.shape[1:])
    for row in terms:
        total += row
    return total


def _gram(matrix: Array) -> Array:
    """The sum over the rows of the products of each two columns; most values of a row are 0."""
    total = np.zeros((matrix.shape[1], matrix.shape[1]))
    for row in matrix:
        index = row.nonzero()[0]
        values = row[index]
        total[index[:, None], index] += values[:, None] * values
    return total


def _active_set(gram: Array, right: Array) -> Array:
    """Lawson and Hanson's method on the normal equations, from where nearly all are free."""
    count = len(right)
    x, free = _start(gram, right)
    for _ in range(ROUNDS_PER_COLUMN * count):
        slope = np.where(free, -np.inf, right - _over_rows(gram * x[:, None]))
        best = int(slope.argmax())
        if slope[best] <= TOLERANCE:
            break
        free[best] = True
        x = _feasible(gram, right, x, free)
    return x


def _start(gram: Array, right: Array) -> tuple[Array, NDArray[np.bool_]]:
    """The optimum over some columns that has all of them above zero, and which they are.

    What would be negative is left out until nothing is. Costs are positive, and so few are.
    """
    free = right > 0
    for _ in range(len(right)):
        x = _optimum(gram, right, free)
        if (x > 0)[free].all():
            return x, free
        free &= x > 0
    return np.zeros(len(right)), np.zeros(len(right), bool)


def _optimum(gram: Array, right: Array, free: NDArray[np.bool_]) -> Array:
    """The best x, of any sign, that is 0 where it is not `free`."""
    x = np.zeros(len(right))
    index = np.flatnonzero(free)
    x[index] = _solved(gram[np.ix_(index, index)], right[index])
    return x


def _feasible(gram: Array, right: Array, x: Array, free: NDArray[np.bool_]) -> Array:
    """From x towards the optimum over `free`; what reaches zero on the way leaves `free`."""
    for _ in range(len(x)):
        goal = _optimum(gram, right, free)
        below = free & (goal <= 0)
        if not below.any():
            return goal
        share = x[below] / (x[below] - goal[below])
        x = x + share.min() * (goal - x)
        x[below.nonzero()[0][share == share.min()]] = 0.0
        free &= x > 0
        x[~free] = 0.0
    return x


def _solved(matrix: Array, right: Array) -> Array:
    """Gauss's elimination; the matrix is symmetric and positive definite, so no pivot is zero."""
    a, b = matrix.copy(), right.copy()
    for k in range(len(b) - 1):
        factors = a[k + 1 :, k] / a[k, k]
        a[k + 1 :] -= factors[:, None] * a[k]
        b[k + 1 :] -= factors * b[k]
    x = np.zeros(len(b))
    for k in reversed(range(len(b))):
        x[k] = b[k] / a[k, k]
        b[:k] -= a[:k, k] * x[k]
    return x
