"""The least that a space can cost, measured: the end of an infeasible search before it begins."""

from __future__ import annotations

from collections.abc import Mapping

from nas.budget import Budget, CycleModel, Seen, first_budget
from nas.candidate import Limits
from nas.errors import BrokenLimit, InfeasibleError, NasError
from nas.judge import Rig
from nas.space import Arch, Block, SearchSpace

UNITS: Mapping[str, tuple[str, str]] = {
    "sram_bytes": ("SRAM", "bytes"),
    "flash_bytes": ("flash", "bytes"),
    "latency_ms": ("latency", "ms"),
}


def typical_arch(space: SearchSpace) -> Arch:
    """A network of middling size with every kind of layer, to measure beside the smallest."""

    def middle(choices: tuple[float, ...]) -> float:
        return choices[(len(choices) - 1) // 2]

    block = Block(int(middle(space.kernels)), int(middle(space.expansions)), space.skips[-1])
    stages = tuple(
        tuple(space.allowed(i, j, block) for j in range(stage.depths[-1]))
        for i, stage in enumerate(space.stages)
    )
    return Arch(space.resolutions[0], middle(space.widths), stages)


def measured_budget(
    space: SearchSpace,
    rig: Rig,
    models: Mapping[str, CycleModel],
    limits: Limits,
) -> Budget:
    """A budget that rests on the space's smallest network and a typical one.

    Raises InfeasibleError if the smallest, which is least in every cost, breaks limits.
    """
    measured = rig.measure([space.min_arch, typical_arch(space)])
    types = []
    for board_type, model in models.items():
        seen = [each[board_type] for each in measured.values()]
        _require_ok(seen[0])
        types.append(first_budget(model, [s for s in seen if s.measurement.status == "ok"]))
    budget = Budget(space, tuple(types))
    least = measured[space.min_arch]
    broken = tuple(b for each in types for b in _broken(least[each.board_type], limits))
    if broken:
        raise InfeasibleError(
            "no network of the space keeps within these limits, as measured with the smallest: "
            f"{', '.join(map(_words, broken))}; raise them",
            broken,
        )
    return budget


def _require_ok(seen: Seen) -> None:
    """The smallest network must run: else the board or the toolchain is at fault, or no room."""
    m = seen.measurement
    if m.status == "too_big":
        raise InfeasibleError(
            f"the smallest network of the space is too big for {m.board_type}: {m.message}"
        )
    if m.status != "ok":
        raise NasError(
            f"the smallest network of the space failed on {m.board or m.board_type} "
            f"({m.status}: {m.message}); check the board with tinyrack boards check"
        )


def _broken(seen: Seen, limits: Limits) -> list[BrokenLimit]:
    m = seen.measurement
    least = {
        "sram_bytes": m.peak_sram_bytes,
        "flash_bytes": m.flash_bytes,
        "latency_ms": m.latency_ms,
    }
    return [
        BrokenLimit(name, m.board_type, limit, least[name], m.virtual)
        for name, limit in limits.items()
        if least[name] > limit
    ]


def _words(broken: BrokenLimit) -> str:
    what, unit = UNITS[broken.constraint]
    kind = "virtual, " if broken.virtual else ""
    return (
        f"{what} limit of {broken.limit:g} {unit} on {broken.board_type} "
        f"({kind}the least is {broken.smallest:g})"
    )
