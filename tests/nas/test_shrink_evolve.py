"""Budgets, shrinking and evolution against a made-up rack whose truth is known."""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pytest
from made_up import CLOCK_HZ, TYPE, MadeUpBench, timed

from engine.emit import emit
from nas.budget import arch_skeleton, skeleton
from nas.candidate import Limits, Score
from nas.errors import InfeasibleError, NasError
from nas.evolve import EvolveSettings, evolve
from nas.floor import measured_budget
from nas.judge import Judge, Quota
from nas.network import macs
from nas.rig import BoardRig
from nas.shape import shape_graph
from nas.shrink import ShrinkSettings, progressive_shrinking
from nas.space import default_space

SPACE = default_space(16, 1, 10)
QUOTA = Quota(settled=14, settled_at_once=5, settled_at_least=2, finalists=8, evaluated=300)
LIMITS = Limits(sram_bytes=5000, flash_bytes=60_000, latency_ms=5.0)


@dataclass(frozen=True)
class Foreseen:
    cycles: float
    upper_cycles: float


@dataclass(frozen=True)
class WorkModel:
    """Cycles by work, with a factor that observations correct."""

    factor: float = 1.0
    margin: float = 0.3

    def layer_cycles(self, layers):
        return tuple(self.factor * (3 * sum(x.features.values()) + x.macs) for x in layers)

    def predict(self, layers):
        cycles = sum(self.layer_cycles(layers))
        return Foreseen(cycles, cycles * (1 + self.margin))

    def observe(self, measurements):
        ratios = [m.cycles / self.predict(layers).cycles for layers, m in measurements]
        return replace(self, factor=self.factor * float(np.mean(ratios)))


class Seat:
    """A judge over a made-up rack; good networks are large ones, as a smooth function."""

    def __init__(self, limits=LIMITS, quota=QUOTA, answer=timed, types=(TYPE,)):
        self.bench = MadeUpBench(answer)
        self.rig = BoardRig(self.bench, types, partial(shape_graph, SPACE))
        self.budget = measured_budget(SPACE, self.rig, {t: WorkModel() for t in types}, limits)
        self.judge = Judge(self.budget, limits, self.score, self.rig, quota)
        self.evaluated = []

    def score(self, arch):
        self.evaluated.append(arch)
        return Score(1 - 1e4 / (1e4 + macs(SPACE, arch)), 1 / macs(SPACE, arch))


def samples(count, seed=0):
    rng = np.random.default_rng(seed)
    return [SPACE.sample(rng) for _ in range(count)]


def test_predictions_of_memory_hold_what_a_board_would_measure():
    seat = Seat(Limits())
    archs = samples(30)
    truth = MadeUpBench()
    measured = BoardRig(truth, (TYPE,), partial(shape_graph, SPACE)).measure(archs)
    for arch in archs:
        (cost,) = seat.budget.costs(arch)
        m = measured[arch][TYPE].measurement
        sram, flash = cost.ranges["sram_bytes"], cost.ranges["flash_bytes"]
        assert sram.value == m.peak_sram_bytes  # the planner is exact
        assert flash.low <= m.flash_bytes <= flash.high
        assert abs(flash.value / m.flash_bytes - 1) < 0.02


def test_the_smallest_network_is_least_in_every_cost():
    budget = Seat(Limits()).budget
    (least,) = budget.costs(SPACE.min_arch)
    for arch in samples(110, seed=1):
        (cost,) = budget.costs(arch)
        assert all(cost.ranges[key].value >= least.ranges[key].value for key in cost.ranges)


@pytest.mark.parametrize(
    ("limits", "constraint"),
    [
        (Limits(1000, None, None), "sram_bytes"),
        (Limits(None, 9000, None), "flash_bytes"),
        (Limits(None, None, 0.1), "latency_ms"),
    ],
)
def test_an_infeasible_limit_ends_with_its_name_and_the_least_that_is_possible(limits, constraint):
    with pytest.raises(InfeasibleError) as caught:
        Seat(limits)
    error = caught.value
    (broken,) = error.broken
    assert (broken.constraint, error.exit_code) == (constraint, 1)
    assert broken.smallest > broken.limit == getattr(limits, constraint)
    assert f"{broken.smallest:g}" in str(error)
    assert broken.virtual
    assert "virtual" in str(error)
    met = replace(limits, **{constraint: broken.smallest})
    assert Seat(met).judge.violation(SPACE.min_arch) >= 0  # no error: the bound is sharp


def test_every_limit_that_cannot_be_met_is_named_on_every_board_type():
    with pytest.raises(InfeasibleError) as caught:
        Seat(Limits(1000, 1 << 20, 0.1), types=(TYPE, "nucleo-f767zi"))
    named = [(broken.constraint, broken.board_type) for broken in caught.value.broken]
    names = ("sram_bytes", "latency_ms")
    assert named == [(name, kind) for kind in (TYPE, "nucleo-f767zi") for name in names]
    for broken in caught.value.broken:
        assert f"{broken.smallest:g}" in str(caught.value)


def test_a_rack_that_computes_wrongly_ends_the_search():
    with pytest.raises(NasError, match="wrong_output"):
        Seat(answer=partial(timed, status="wrong_output"))


def test_a_space_that_does_not_fit_the_board_at_all_is_infeasible():
    with pytest.raises(InfeasibleError, match="too big"):
        Seat(answer=partial(timed, status="too_big"))


def test_measured_costs_replace_predicted_ones_and_sharpen_the_rest():
    judge = Seat(answer=partial(timed, slower=1.5)).judge
    arch, other = samples(2, seed=3)
    before = judge.budget
    judge.crown([arch])
    (cost,) = judge.budget.costs(arch)
    latency = cost.ranges["latency_ms"]
    assert latency.low == latency.high == cost.measurement.cycles / CLOCK_HZ * 1e3
    assert not cost.is_near(judge.limits)
    assert before.costs(arch)[0].measurement is None  # a budget is a value
    assert judge.budget.costs(other) != before.costs(other)
    assert judge.promises[arch] == before.costs(arch)


def test_networks_near_a_limit_are_measured_before_the_decision():
    seat = Seat()
    archs = samples(110, seed=1)
    near = [a for a in archs if seat.judge.budget.costs(a)[0].is_near(LIMITS)]
    clear = [a for a in archs if seat.judge.violation(a) == 0]
    assert near
    assert clear
    seat.judge.settle(archs)
    measured = [a for a in archs if seat.judge.is_measured(a)]
    assert len(measured) == min(len(near), QUOTA.settled_at_once)
    assert set(measured) <= set(near)


def test_where_the_model_is_sure_the_closest_to_a_limit_is_measured_all_the_same():
    judge = Seat().judge
    archs = [a for a in samples(60, seed=1) if judge.violation(a) == 0]
    judge.settle(archs)
    measured = [a for a in archs if judge.is_measured(a)]
    assert len(measured) == QUOTA.settled_at_least
    closest = {a: judge.promises[a][0].violation(Limits(4500, 54_000, 4.5)) for a in measured}
    assert all(closest.values())


def test_a_network_that_fails_on_a_board_is_not_feasible():
    bad = samples(1, seed=8)[0]

    def answer(job):
        return timed(job, status="wrong_output" if job.name == f"net_{bad.id}" else "ok")

    judge = Seat(Limits(), answer=answer).judge
    assert judge.violation(bad) == 0
    judge.crown([bad])
    assert judge.violation(bad) > 0
    assert judge.rank([bad, SPACE.min_arch]) == [SPACE.min_arch, bad]
    row = next(r for r in judge_rows(judge, [bad]) if r["id"] == bad.id)
    assert (row["feasible"], row["measured_cycles"]) == (False, None)


def judge_rows(judge, archs):
    judge.see(archs, "test")
    return [row for c in judge.candidates() for row in c.rows(judge.limits)]


def whole_search(seat, seed=0, settings=None):
    rng = np.random.default_rng(seed)
    shrunk = progressive_shrinking(seat.judge, SPACE, ShrinkSettings(), rng)
    settings = settings or EvolveSettings(population=16, children=24, round=12)
    return shrunk, evolve(seat.judge, shrunk.space, shrunk.best, settings, rng)


def test_the_search_finds_a_network_near_the_limits_and_within_them():
    seat = Seat()
    shrunk, ranked = whole_search(seat, settings=EvolveSettings(children=24))
    best = ranked[0]
    assert seat.judge.is_measured(best)
    assert seat.judge.violation(best) == 0
    assert set(shrunk.space.widths) < set(SPACE.widths)
    assert shrunk.space.count() < SPACE.count() / 2
    rng = np.random.default_rng(99)
    drawn = [SPACE.sample(rng) for _ in range(40)]
    fitting = [a for a in drawn if fits_in_truth(seat, a)]
    # Better than all but the luckiest of 40 random networks that fit.
    better = sum(macs(SPACE, a) > macs(SPACE, best) for a in fitting)
    assert better <= 0.1 * len(fitting)


def fits_in_truth(seat, arch):
    (cost,) = seat.judge.budget.costs(arch)
    return all(cost.ranges[k].value <= limit for k, limit in LIMITS.items())


def test_the_same_seed_asks_the_same_and_another_seed_something_else():
    one, two, other = Seat(), Seat(), Seat()
    few = EvolveSettings(population=8, children=8, round=4)
    assert whole_search(one, settings=few)[1] == whole_search(two, settings=few)[1]
    assert [job.name for job in one.bench.jobs] == [job.name for job in two.bench.jobs]
    whole_search(other, seed=7, settings=few)
    assert other.evaluated != one.evaluated


def test_the_quotas_bound_the_search():
    quota = Quota(settled=3, settled_at_once=2, settled_at_least=1, finalists=2, evaluated=10)
    seat = Seat(quota=quota)
    whole_search(seat)
    floor_jobs = 2
    assert len(seat.bench.jobs) <= floor_jobs + quota.settled + quota.finalists
    assert len(seat.evaluated) <= quota.evaluated


def test_limits_hold_on_every_board_type():
    def answer(job):
        return timed(job, slower=2.0 if job.board_type == "nucleo-f767zi" else 1.0)

    seat = Seat(answer=answer, types=(TYPE, "nucleo-f767zi"))
    _, ranked = whole_search(seat)
    costs = seat.judge.budget.costs(ranked[0])
    assert [cost.board_type for cost in costs] == [TYPE, "nucleo-f767zi"]
    assert all(cost.measurement.latency_ms <= LIMITS.latency_ms for cost in costs)
    assert costs[1].measurement.cycles > 1.9 * costs[0].measurement.cycles


def test_shrinking_looks_at_every_width_and_at_the_depths_of_the_best_three():
    seat = Seat()
    whole_search(seat)
    stages = {}
    for candidate in seat.judge.candidates():
        stages.setdefault(candidate.stage, []).append(candidate.arch)
    assert {a.width for a in stages["width"]} == {0.25, 0.5, 0.75, 1.0}
    assert {a.depths for a in stages["depth"]} >= {(1, 2), (4, 4), (2, 1)} - {
        a.depths for a in stages["width"]
    }
    assert len(stages["depth"]) <= 3 * 16


def test_a_lonely_network_is_found_where_only_the_smallest_fits():
    least = Seat(Limits()).budget.costs(SPACE.min_arch)[0].ranges
    limits = Limits(
        int(least["sram_bytes"].high), int(least["flash_bytes"].high), least["latency_ms"].high
    )
    seat = Seat(limits)
    _, ranked = whole_search(seat)
    assert seat.judge.violation(ranked[0]) == 0


def test_rows_tell_predicted_from_measured():
    judge = Seat().judge
    one, two = samples(2, seed=11)
    judge.crown([one])
    first, second = judge_rows(judge, [one, two])
    assert first["source"] == "measured"
    assert first["measured_cycles"] > 0
    assert first["predicted_cycles"] != first["measured_cycles"]
    assert first["virtual"] is True
    assert (second["source"], second["measured_cycles"]) == ("predicted", None)
    assert second["virtual"] is True  # its model was fitted on virtual boards
    assert second["predicted_upper_cycles"] >= second["predicted_cycles"]


def test_sizes_foreseen_are_those_of_the_generated_library():
    for arch in samples(8):
        assert arch_skeleton(SPACE, arch) == skeleton(emit(shape_graph(SPACE, arch)))
