"""What a board is asked for: warm-up until it is steady, enough samples, several inputs.

The board is scripted: no virtual one warms up slowly, scatters or counts past 32 bits.
"""

from dataclasses import replace
from itertools import count

import pytest

from farm.banner import Banner
from farm.errors import BenchError
from farm.link import Run, StackDepth
from farm.mcus import load_mcu
from farm.rack.board import Board, BoardType
from farm.runs import MOST_SERIES, Trial, depends_on_data, run
from farm.samples import WRAP
from farm.stages import Stages

MCU = load_mcu("stm32f412zg")
BOARD = Board("b", BoardType("t", "stm32f412zg", "stm32f412xg"), "stlink:0670FF")
VIRTUAL = replace(BOARD, probe="virtual:TR-1")
BANNER = Banner(**dict.fromkeys(Banner.__dataclass_fields__, 0) | {"layer_count": 2})
TRIAL = Trial(b"in", b"out", 5)


class Script:
    """A harness whose n-th inference, from 1, takes `cycles(n)`, on input k `cycles(n) + k`."""

    def __init__(self, cycles, layers=(500, 500)) -> None:
        self._cycles, self._layers, self._numbers = cycles, layers, count(1)
        self.inputs: list[bytes] = []

    def load(self, data):
        self.inputs.append(data)

    def run(self, *_, **__):
        return Run(self._take(), b"out")

    def trace(self, *_):
        return self._layers

    def time(self, count, _deadline_s, *, warm):
        for _ in range(warm):
            self._take()
        return tuple(self._take() for _ in range(count))

    def stack(self, _deadline_s):
        return (StackDepth(100, 900), StackDepth(100, 900))

    def _take(self) -> int:
        return (self._cycles(next(self._numbers)) + len(self.inputs) - 1) % WRAP


def measured(script, trial=TRIAL, board=BOARD):
    return run(board, MCU, script, BANNER, trial, Stages(board, 60.0, lambda _: None))


def test_equal_samples_are_enough_at_once():
    found = measured(Script(lambda _: 1_000))
    assert (found.samples, found.warm_runs, found.unsettled) == ((1_000,) * 5, 1, ())


def test_a_board_that_warms_up_slowly_is_given_more_runs_and_all_samples_are_kept():
    found = measured(Script(lambda n: 1_000 + max(0, 80 - 10 * n)))
    assert found.unsettled[0] > found.unsettled[-1] > 1_000
    assert set(found.samples) == {1_000}
    assert found.warm_runs == 4


@pytest.mark.parametrize(
    ("whole", "agree"), [(1_000, True), (7_000, True), (7_001, False), (2_139_360_694, False)]
)
def test_inferences_and_their_layers_must_agree(whole, agree):
    said = measured(Script(lambda _: whole), board=VIRTUAL).contradiction()
    assert said == "" if agree else f"{whole} cycles and their layers 1000 together" in said


def test_one_disturbed_series_is_followed_by_another_one():
    found = measured(Script(lambda n: 100_000 + 9_000 * (n == 5)))
    assert len(found.samples) == 10
    assert found.samples.count(109_000) == 1


def test_a_board_on_which_something_else_runs_is_a_bench_failure():
    with pytest.raises(BenchError, match="something else runs on it"):
        measured(Script(lambda n: 100_000 + 5_000 * (n % 5 == 0)))


def test_a_final_figure_takes_ten_samples_and_ten_seconds_unless_they_are_equal():
    final = replace(TRIAL, purpose="final")
    assert len(measured(Script(lambda _: 1_000), final).samples) == 10
    slow = Script(lambda n: 200_000_000 + n % 2, layers=(100_000_000, 100_000_000))
    assert len(measured(slow, final).samples) == 10
    quick = Script(lambda n: 1_000 + n % 2)
    assert len(measured(quick, final).samples) == 10 * MOST_SERIES


def test_inferences_of_more_than_32_bits_of_cycles_are_told_by_their_layers():
    true = WRAP + 12_345
    halves = (true // 2, true - true // 2)
    found = measured(Script(lambda _: true, halves), board=replace(BOARD, probe="virtual:x"))
    assert set(found.samples) == {true}
    assert found.cold.cycles == true


def test_an_unseen_wrap_within_a_layer_is_told_by_the_hosts_clock(monkeypatch):
    seconds = count(0.0, 600.0)
    monkeypatch.setattr("farm.runs.time.monotonic", lambda: next(seconds))
    trial = replace(TRIAL, samples=1)
    script = Script(lambda _: 1_000)
    with pytest.raises(BenchError, match="more than once in one layer"):
        run(BOARD, MCU, script, BANNER, trial, Stages(BOARD, 1e9, lambda _: None))


def test_cycles_that_depend_on_the_data_are_seen():
    trial = replace(TRIAL, further=((b"i2", b"out"), (b"i3", b"out")))
    script = Script(lambda _: 1_000)
    found = measured(script, trial)
    assert script.inputs == [b"in", b"i2", b"i3"]
    assert (found.further_outputs, found.input_cycles) == ((b"out", b"out"), (1_000, 1_001, 1_002))
    assert not depends_on_data(found)
    assert depends_on_data(replace(found, input_cycles=(1_000, 1_006)))
