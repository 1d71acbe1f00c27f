import io
import itertools

import pytest
from rich.console import Console

from nas.console import Stages


@pytest.fixture
def pipe():
    return io.StringIO()


@pytest.fixture
def stages(pipe):
    with Stages(Console(file=pipe, width=100)) as stages:
        yield stages


def test_a_long_stage_in_a_pipe_says_now_and_then_where_it_is(stages, pipe, monkeypatch):
    seconds = itertools.count(0, 6)
    monkeypatch.setattr("nas.console.time.monotonic", lambda: float(next(seconds)))
    with stages.stage("supernet", 9) as advance:
        for index in range(9):
            advance(f"loss [{index}]")
    lines = pipe.getvalue().splitlines()
    assert lines[0].startswith("supernet: 3 of 9, loss [2]")
    assert lines[-1].startswith("supernet: loss [8] (")
    assert 3 <= len(lines) <= 5


def test_a_stage_that_takes_more_steps_than_planned_is_never_past_its_end(
    stages, pipe, monkeypatch
):
    seconds = itertools.count(0, 20)
    monkeypatch.setattr("nas.console.time.monotonic", lambda: float(next(seconds)))
    with stages.stage("finish", 2) as advance:
        for _ in range(4):
            advance("again")
    told = [line for line in pipe.getvalue().splitlines() if " of " in line]
    assert [line.split(",")[0] for line in told] == [
        *("finish: 1 of 2", "finish: 2 of 2", "finish: 3 of 3", "finish: 4 of 4"),
    ]


def test_a_short_stage_in_a_pipe_is_one_line(stages, pipe):
    with stages.stage("floor", 1) as advance:
        advance("the limits can be met")
    with stages.counted("calibrate") as progress:
        for done in range(1, 4):
            progress(done, 3, f"network {done}")
    floor, calibrate = pipe.getvalue().splitlines()
    assert floor.startswith("floor: the limits can be met (")
    assert calibrate.startswith("calibrate: 3 done (")
