"""What is slower or larger by more than one per cent is named, until it is accepted."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farm.benchmark.record import KERNELS, Part
from farm.benchmark.verdict import METRICS, Change, accepted, changes, slower_kernels
from tests.farm.benchmark.conftest import make


def worse(history, *new):
    return [change.metric for change in changes(history, new) if change.worse]


@pytest.mark.parametrize("metric", METRICS)
def test_one_per_cent_is_allowed_and_no_more(metric) -> None:
    old = replace(make(), code_bytes=0, constant_bytes=0, **{metric: 10_000})
    assert worse([old], replace(old, **{metric: 10_100})) == []
    assert worse([old], replace(old, **{metric: 10_101})) == [metric]


@settings(derandomize=True)
@given(st.integers(1, 1 << 40), st.integers(1, 1 << 40))
def test_worse_and_better_exclude_each_other(before, after) -> None:
    change = Change("net", "cycles", before, after)
    assert not (change.worse and change.better)
    assert change.worse == (after - before > before / 100)
    assert change.better == (after < before)


@settings(derandomize=True)
@given(st.lists(st.integers(1000, 2000), min_size=1, max_size=6), st.integers(1000, 2000))
def test_the_best_since_the_last_accepted_one_is_what_counts(figures, now) -> None:
    history = [make(commit=str(i), cycles=cycles) for i, cycles in enumerate(figures)]
    expected = now * 100 > min(figures) * 101
    assert worse(history, make(cycles=now)) == ["cycles"] * expected
    history.append(make(commit="x", cycles=1900, accepted="a new proof"))
    assert worse(history, make(cycles=now)) == ["cycles"] * (now * 100 > 1900 * 101)


def test_small_steps_do_not_add_up_unnoticed() -> None:
    history = [make(commit="a", cycles=1000), make(commit="b", cycles=1009)]
    assert worse(history, make(commit="c", cycles=1018)) == ["cycles"]


def test_what_is_another_thing_is_not_compared() -> None:
    old = make(cycles=1)
    assert worse([old], make(case="mlperf_ad01")) == []
    assert worse([old], make(variant="file")) == []
    assert worse([old], make(board_type="nucleo-l4r5zi")) == []
    assert worse([old], make(compiler="arm-none-eabi-gcc 12.2")) == []
    assert worse([old], make(timing_model=None)) == []  # silicon
    assert worse([make(case=KERNELS, cycles=1)], make(case=KERNELS)) == []  # has no verdict


def test_another_version_of_the_compiler_is_compared() -> None:
    assert worse([make(cycles=1)], make(compiler="zig cc 0.18.0")) == ["cycles"]


def test_cycles_of_another_timing_model_are_not_compared_but_sizes_are() -> None:
    old = make(cycles=1, arena_bytes=1, timing_model="m4-v1")
    assert worse([old], make()) == ["arena_bytes"]


def test_a_kernel_that_is_slower_than_last_time_is_named() -> None:
    old, new = (
        make(case=KERNELS, variant="kernels", parts=(Part("add", 0, 9, a), Part("pool", 0, 9, 100)))
        for a in (1000, 1011)
    )
    assert [str(change) for change in slower_kernels([old], [new])] == [
        "add on nucleo-f412zg: 1,000 -> 1,011 cycles (+1.10 %)"
    ]
    assert slower_kernels([new], [old]) == slower_kernels([], [new]) == ()


def test_a_reason_stands_with_what_is_worse_alone() -> None:
    history = [make(cycles=1000), make(case="mlperf_ad01")]
    new = [make(cycles=1500), make(case="mlperf_ad01", cycles=1499)]
    found = changes(history, new)
    assert [(c.metric, c.worse, c.better) for c in found] == [
        ("cycles", True, False),
        ("cycles", False, True),
    ]
    assert [r.accepted for r in accepted(new, found, "why")] == ["why", ""]
    assert "1,000 -> 1,500 cycles (+50.00 %)" in str(found[0])
