"""Names fit for a graph: printable, short, one of each, and found quickly."""

from hypothesis import given
from hypothesis import strategies as st

from engine.graph_checks import require_name
from engine.load.limits import MAX_NAME_LETTERS
from engine.load.names import Names, printable


@given(name=st.binary(max_size=300) | st.text(max_size=300))
def test_whatever_a_name_is_it_becomes_printable_text(name):
    text = printable(name)
    assert text.isprintable()
    assert len(text) <= MAX_NAME_LETTERS
    if text:
        require_name("tensor", text)


def test_halves_of_letters_are_replaced():
    assert printable("a\ud800b") == "a_b"
    assert printable(None) == ""


def test_taken_names_get_numbers_that_are_not_taken():
    names = Names()
    given = [names.unique(stem) for stem in ("x", "x_1", "x", "x", "x_1")]
    assert given == ["x", "x_1", "x_2", "x_3", "x_1_1"]


def test_thousands_of_one_name_are_numbered_in_a_moment():
    names = Names()
    assert len({names.unique("x") for _ in range(50_000)}) == 50_000
