import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls

from nas.least_squares import solve

RIDGE = 1e-5


@st.composite
def problems(draw):
    rows, columns = draw(st.integers(1, 40)), draw(st.integers(1, 12))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    matrix = rng.exponential(size=(rows, columns)) * (rng.random((rows, columns)) < 0.6)
    matrix *= 10.0 ** rng.integers(-3, 4, columns)
    if columns > 2:
        matrix[:, 1] = matrix[:, 0]  # two that agree
    return matrix, rng.normal(size=rows)


@given(problems())
@settings(deadline=None)
def test_it_finds_what_scipy_finds(problem):
    matrix, target = problem
    length = np.linalg.norm(matrix, axis=0)
    length[length == 0] = 1
    whole = np.vstack([matrix / length, np.sqrt(RIDGE) * np.eye(len(length))])
    wanted, _ = nnls(whole, np.concatenate([target, np.zeros(len(length))]))
    found = solve(matrix, target, RIDGE) * length
    assert (found >= 0).all()
    assert np.allclose(found, wanted, rtol=1e-6, atol=1e-6 * max(1.0, np.abs(wanted).max()))


@given(problems(), st.integers(1, 7))
@settings(deadline=None)
def test_the_bits_do_not_depend_on_where_the_numbers_lie(problem, shift):
    matrix, target = problem
    moved = np.empty(matrix.size + shift)[shift:].reshape(matrix.shape)
    moved[:] = matrix
    first = solve(matrix, target, RIDGE)
    assert first.tobytes() == solve(moved, target, RIDGE).tobytes()
    assert first.tobytes() == solve(np.asfortranarray(matrix), target, RIDGE).tobytes()


def test_a_column_of_zeros_gets_nothing_and_an_exact_fit_is_found():
    matrix = np.array([[1.0, 0.0, 0.0], [1.0, 0.0, 2.0], [3.0, 0.0, 1.0]])
    found = solve(matrix, matrix @ np.array([2.0, 5.0, 3.0]), 1e-12)
    assert np.allclose(found, [2.0, 0.0, 3.0])
