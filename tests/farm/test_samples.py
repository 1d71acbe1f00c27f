"""Samples: unwrapped exactly, far ones flagged, none dropped."""

from hypothesis import given, settings
from hypothesis import strategies as st

from farm import samples

CYCLES = st.lists(st.integers(1, 1 << 34), min_size=1, max_size=40)


@settings(derandomize=True, max_examples=100)
@given(st.integers(1, 1 << 40), st.integers(-(1 << 30), 1 << 30))
def test_a_wrapped_count_is_found_again_by_the_sum_of_its_layers(true, trace_is_off):
    near = max(1, true + trace_is_off)
    assert samples.unwrapped(true % samples.WRAP, near) == true


def test_nine_seconds_at_480_mhz_are_not_taken_for_less():
    true = 9 * 480_000_000 + 123
    assert true > samples.WRAP
    assert samples.unwrapped(true % samples.WRAP, true + 5_000) == true


@settings(derandomize=True, max_examples=100)
@given(CYCLES)
def test_outliers_are_few_and_never_the_median(found):
    far = samples.outliers(found)
    assert len(far) * 2 < len(found) + 1
    assert all(found[at] != samples.median(found) for at in far)


def test_a_disturbed_sample_among_many_is_flagged_and_is_no_scatter():
    found = (100_000,) * 19 + (103_000,)
    assert samples.outliers(found) == (19,)
    assert not samples.scatter(found)
    assert samples.scatter((100_000,) * 7 + (103_000,) * 3)


def test_jitter_of_a_few_cycles_is_no_outlier():
    assert samples.outliers((1_000, 1_001, 1_000, 1_019)) == ()


def test_a_short_network_whose_runs_take_one_of_two_ways_is_in_order():
    found = (5_085, 5_109, 5_085, 5_085, 5_109, 5_085, 5_085, 5_109, 5_085, 5_085)
    assert samples.outliers(found) == ()
    assert not samples.scatter(found)


def test_interrupts_in_a_short_network_are_seen():
    found = (5_085, 5_240, 5_085, 5_085, 5_231, 5_085)
    assert samples.outliers(found) == (1, 4)
    assert samples.scatter(found)


def test_quartiles_of_a_known_row():
    assert samples.iqr((1, 2, 3, 4, 5)) == 2
    assert samples.iqr((7, 9, 11)) == 0


def test_a_first_sample_that_is_slower_is_not_steady():
    assert not samples.is_steady((1_100, 1_000, 1_000))
    assert samples.is_steady((1_000, 1_001, 1_900))
    assert samples.is_steady((5,))
