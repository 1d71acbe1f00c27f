"""select: the kernels of a whole network for a mode, by what they cost in cycles and in flash.

Code is shared: a C function costs its bytes once, however many layers call it. So a network's
choice is the set of kernel variants that it may use, and the C files that are compiled for size;
each layer then takes the variant whose own constants and cycles are cheapest. Cycles have a price
in bytes. Local search finds a set for a price, and the price is raised until the cycles of every
core, as predicted, keep within the budget. No step is random: the same network gets the same
kernels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from engine.dispatch import first
from engine.graph import Graph
from engine.mode import BALANCED_PERCENT, FASTEST, Mode
from engine.prices import CORES
from engine.selection import Selection
from engine.variants import Menu, Variant, menu

CHEAPEST, DEAREST = 1.0, 2e6
"""Bytes that as many cycles as the fastest choice takes may cost: next to nothing, all flash."""
HALVINGS = 9
LEAST_GAIN_BYTES = 0.5
MOST_STEPS = 200
"""Of one local search; each makes the choice better, so that it ends anyway."""
ALWAYS_SMALL = frozenset({"model.c"})
"""It runs through once an inference, all of it calls."""


@dataclass(frozen=True)
class _State:
    """price: of the fastest choice's cycles, in bytes; closed: variants that are not to be used;
    small: files compiled for size."""

    price: float
    closed: frozenset[str] = frozenset()
    small: frozenset[str] = frozenset()


@dataclass(frozen=True, eq=False)
class _Cost:
    """flash: code and constants of the larger core; cycles: of each core, 1 for the fastest."""

    flash: int
    cycles: tuple[float, ...]
    chosen: tuple[Variant, ...]

    def at(self, price: float) -> float:
        """Bytes, cycles included."""
        return self.flash + price * sum(self.cycles) / len(self.cycles)


_Worth = Callable[[_Cost], float]


@lru_cache(maxsize=16)  # plan, emit and the tables of a library ask for the same
def select(graph: Graph, mode: Mode = FASTEST) -> Selection:
    """The kernels of ``graph`` for ``mode``. Raises UnsupportedError."""
    if mode == FASTEST:
        return first(graph)
    search = _Search(menu(graph))
    best = search.balanced() if mode == "balanced" else search.smallest()
    chosen = search.cost(best).chosen
    small = {name for v in chosen if v.row.source in best.small for name in v.row.files}
    small -= {name for v in chosen if v.row.source not in best.small for name in v.row.files}
    sources = frozenset(name for name in small if name.endswith(".c"))
    return Selection(tuple(variant.row for variant in chosen), sources | ALWAYS_SMALL)


class _Search:
    """Over the states of one menu, whose costs it remembers."""

    def __init__(self, found: Menu) -> None:
        self._menu, self._keys, self._files = found, found.keys, found.files
        self._fastest = {core: found.fastest_cycles(core) for core in CORES}
        self._costs: dict[_State, _Cost] = {}

    def balanced(self) -> _State:
        """The least flash found within the budget of each core."""
        most = 1 + BALANCED_PERCENT / 100
        low, high, best = CHEAPEST, DEAREST, _State(DEAREST)
        for _ in range(HALVINGS):
            price = (low * high) ** 0.5
            state = self.settled(price)
            if max(self.cost(state).cycles) > most:
                low = price
                continue
            high = price
            best = min(best, state, key=lambda each: self.cost(each).flash)

        def within(cost: _Cost) -> float:
            return cost.flash if max(cost.cycles) <= most else DEAREST * 1e3

        return self._descended(best, within, pairs=True)

    def smallest(self) -> _State:
        """The least flash found, whatever the cycles."""
        return self._descended(_State(CHEAPEST), lambda cost: cost.at(CHEAPEST), pairs=True)

    def settled(self, price: float) -> _State:
        """The cheapest found for a price of cycles."""
        return self._descended(_State(price), lambda cost: cost.at(price))

    def cost(self, state: _State) -> _Cost:
        """What a state costs, each operator by its cheapest variant."""
        if state not in self._costs:
            self._costs[state] = self._cost(state)
        return self._costs[state]

    def _cost(self, state: _State) -> _Cost:
        chosen = tuple(self._cheapest(some, state) for some in self._menu.variants)
        cycles = tuple(
            sum(v.cycles_of(core, state.small) for v in chosen) / self._fastest[core]
            for core in CORES
        )
        code = max(self._menu.code_bytes(core, chosen, state.small) for core in CORES)
        return _Cost(code + sum(v.const_bytes for v in chosen), cycles, chosen)

    def _cheapest(self, some: tuple[Variant, ...], state: _State) -> Variant:
        if len(some) == 1:
            return some[0]
        rate = state.price / len(CORES)

        def worth(variant: Variant) -> float:
            shares = (variant.cycles_of(c, state.small) / self._fastest[c] for c in CORES)
            return variant.const_bytes + rate * sum(shares)

        return min((v for v in some if v.key not in state.closed), key=worth)

    def _descended(self, state: _State, worth: _Worth, *, pairs: bool = False) -> _State:
        """From a state by the best single change of it, as long as there is one; or by two."""
        for _ in range(MOST_STEPS):
            better = self._better(state, self._neighbours(state), worth)
            if better is None and pairs:
                nears = (far for near in self._neighbours(state) for far in self._neighbours(near))
                better = self._better(state, nears, worth)
            if better is None:
                break
            state = better
        return state

    def _better(self, state: _State, nears: Iterator[_State], worth: _Worth) -> _State | None:
        """The best of others if it is better, by more than a rounding."""
        least = worth(self.cost(state))
        found = min(nears, key=lambda near: worth(self.cost(near)), default=state)
        return found if worth(self.cost(found)) < least - LEAST_GAIN_BYTES else None

    def _neighbours(self, state: _State) -> Iterator[_State]:
        for name in self._files:
            yield replace(state, small=state.small ^ {name})
        for key in self._keys:
            near = replace(state, closed=state.closed ^ {key})
            if all(any(v.key not in near.closed for v in some) for some in self._menu.variants):
                yield near
