"""Decides which networks are better, with the boards asked about those near a limit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from nas.budget import Budget, Measured
from nas.candidate import Candidate, Cost, Limits, Score
from nas.space import Arch

Evaluate = Callable[[Arch], Score]
CLOSE = 0.1  # of a limit


class Rig(Protocol):
    """Measures networks; `nas.rig.BoardRig` does it on boards."""

    def measure(self, archs: Sequence[Arch]) -> Measured:
        """Each network on every board type."""


@dataclass(frozen=True)
class Quota:
    """Bounds of a search: no loop runs past them."""

    settled: int  # networks measured because a limit was near, in all
    settled_at_once: int
    settled_at_least: int  # at once, if so many are within CLOSE of a limit
    finalists: int  # networks measured because they lead, in all
    evaluated: int  # networks whose accuracy is looked at, in all


class Judge:
    """Scores, costs and the order of networks; remembers everything that it has looked at.

    Its answers depend only on the calls made to it, so the same search asks the same again.
    """

    def __init__(
        self, budget: Budget, limits: Limits, evaluate: Evaluate, rig: Rig, quota: Quota
    ) -> None:
        self.budget = budget
        self.limits = limits
        self._evaluate = evaluate
        self._rig = rig
        self._quota = quota
        self._scores: dict[Arch, Score] = {}
        self._costs: dict[Arch, tuple[Cost, ...]] = {}  # of this budget
        self._stages: dict[Arch, str] = {}
        self._settled = self._crowned = 0
        self.promises: dict[Arch, tuple[Cost, ...]] = {}  # what was foreseen of the measured ones

    def see(self, archs: Iterable[Arch], stage: str) -> list[Arch]:
        """Note networks as candidates; each once, in order."""
        distinct = list(dict.fromkeys(archs))
        for arch in distinct:
            self._stages.setdefault(arch, stage)
        return distinct

    def settle(self, archs: Sequence[Arch]) -> None:
        """Measure the networks near a limit, best first, and refit before anything is decided.

        Where the model is sure of all but a few, those closest to a limit from below are measured
        too: its word counts most there, so it is held against the boards there.
        """
        room = min(self._quota.settled - self._settled, self._quota.settled_at_once)
        near = sorted(filter(self._is_near, archs), key=self._promise)[:room]
        few = min(room, self._quota.settled_at_least) - len(near)
        chosen = near + self._closest(archs)[: max(0, few)]
        self._settled += len(chosen)
        self._measure(chosen)

    def _closest(self, archs: Sequence[Arch]) -> list[Arch]:
        """Unmeasured networks within the limits but close to one, the closest first."""
        fine = [a for a in archs if not self.is_measured(a) and self.violation(a) == 0]
        distances = {arch: self._distance(arch) for arch in fine}
        close = [arch for arch in fine if distances[arch] <= CLOSE]
        return sorted(close, key=lambda arch: (distances[arch], arch.id))

    def _distance(self, arch: Arch) -> float:
        """How far, as a share of it, the tightest limit is away."""
        return min(
            (1 - cost.ranges[name].high / limit
             for cost in self.costs(arch) for name, limit in self.limits.items()),
            default=1.0,
        )  # fmt: skip

    def crown(self, archs: Sequence[Arch]) -> None:
        """Measure networks because they lead, so that the best one is no prediction."""
        room = self._quota.finalists - self._crowned
        chosen = [arch for arch in archs if not self.is_measured(arch)][:room]
        self._crowned += len(chosen)
        self._measure(chosen)

    def _measure(self, archs: Sequence[Arch]) -> None:
        if archs:
            self.promises |= {arch: self.costs(arch) for arch in archs}
            self.budget = self.budget.observe(self._rig.measure(archs))
            self._costs.clear()

    def _promise(self, arch: Arch) -> tuple[float, float, str]:
        """Sorts first the network that would be best if it kept within the limits."""
        score = self.score(arch) or Score(0.0, 0.0)
        return -score.accuracy, score.loss, arch.id

    def _is_near(self, arch: Arch) -> bool:
        costs = self.costs(arch)
        hopeless = any(
            cost.violation(self.limits) and not cost.is_near(self.limits) for cost in costs
        )
        return not hopeless and any(cost.is_near(self.limits) for cost in costs)

    def costs(self, arch: Arch) -> tuple[Cost, ...]:
        """What the network costs on each board type, as far as is known by now."""
        if arch not in self._costs:
            self._costs[arch] = self.budget.costs(arch)
        return self._costs[arch]

    def violation(self, arch: Arch) -> float:
        """0 where the network keeps within every limit on every board type."""
        return sum(cost.violation(self.limits) for cost in self.costs(arch))

    def is_measured(self, arch: Arch) -> bool:
        """Whether boards have measured this network."""
        return arch in self.budget.measured

    def score(self, arch: Arch) -> Score | None:
        """Quality with the supernet's weights; None once the quota is spent."""
        if arch not in self._scores:
            if len(self._scores) >= self._quota.evaluated:
                return None
            self._scores[arch] = self._evaluate(arch)
        return self._scores[arch]

    def order(self, arch: Arch) -> tuple[float, float, float, float, str]:
        """Sorts the better network first: within the limits, then accuracy, then speed.

        Networks over a limit come last, ordered by how far (constraint domination); their
        accuracy is not looked at.
        """
        violation = self.violation(arch)
        cycles = sum(cost.cycles.value for cost in self.costs(arch))
        score = self._scores.get(arch) if violation else self.score(arch)
        if violation or score is None:
            return violation, 1.0, 0.0, -cycles, arch.id
        return 0.0, -score.accuracy, score.loss, cycles, arch.id

    def rank(self, archs: Iterable[Arch]) -> list[Arch]:
        """Distinct networks, the best first."""
        return sorted(dict.fromkeys(archs), key=self.order)

    def feasible(self, archs: Iterable[Arch]) -> list[Arch]:
        """Those within every limit."""
        return [arch for arch in archs if self.violation(arch) == 0]

    def candidates(self) -> list[Candidate]:
        """Everything looked at, in the order of first sight; measured ones as once foreseen."""
        return [
            Candidate(arch, stage, self._scores.get(arch), self._as_decided(arch))
            for arch, stage in self._stages.items()
        ]

    def _as_decided(self, arch: Arch) -> tuple[Cost, ...]:
        """The costs, with the prediction that the boards were asked about."""
        costs = self.costs(arch)
        return tuple(
            replace(cost, cycles=promise.cycles, predicted=promise.predicted)
            for cost, promise in zip(costs, self.promises.get(arch, costs), strict=True)
        )
