"""The order of execution that needs the least memory, where a graph leaves a choice.

What an order needs is the most that lives at one of its steps, in whole words: tensors, scratch,
and an input that dies under its operator's output counted once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from engine.graph import Graph, Op
from engine.needs import Need, readers
from engine.packing import saving
from engine.tables import padded

MAX_RUNS = 200_000
"""Operators that are tried at all, spread evenly over the steps."""


@dataclass(frozen=True)
class Order:
    """Operators by index; is_best: whether no order needs less at its fullest step."""

    steps: tuple[int, ...]
    is_best: bool


def best_order(graph: Graph, wanted: Sequence[Need]) -> Order:
    """The order that needs least, among all or, if there are too many, among many of them.

    The file's order where none is better. wanted: of each operator. Deterministic.
    """
    flow = _flow(graph, wanted)
    given = tuple(range(len(graph.ops)))
    need = flow.need(given)
    if need <= flow.least:
        return Order(given, is_best=True)
    deep = min((_depth_first(graph, turn) for turn in (1, -1)), key=flow.need)
    start = deep if flow.need(deep) < need else given
    found, is_complete = _search(flow, flow.need(start))
    return Order(start if found is None else found, is_complete)


@dataclass(frozen=True)
class _State:
    """After some operators: what was needed so far, what lives, which operators can run next.

    ready: a set of operators as bits.
    """

    need: int
    live: int
    ready: int
    path: _Path | None


_Path = tuple[int, "_Path | None"]


@dataclass(frozen=True)
class _Operator:
    """before: operators that it waits for, as bits; after: those that wait for it, by index.

    frees: (bits of all readers, words) of each tensor that dies once all have run;
    savings: (bits of all readers, words) of each that its output may lie over;
    made: words of its output; passing: those and its scratch.
    """

    before: int
    after: tuple[int, ...]
    frees: tuple[tuple[int, int], ...]
    savings: tuple[tuple[int, int], ...]
    made: int
    passing: int


@dataclass(frozen=True)
class _Flow:
    """The operators of a graph, the words of its inputs, and what every order needs."""

    operators: tuple[_Operator, ...]
    inputs: int
    least: int

    def start(self) -> _State:
        ready = sum(1 << index for index, op in enumerate(self.operators) if not op.before)
        return _State(0, self.inputs, ready, None)

    def run(self, done: int, state: _State, index: int) -> _State:
        """Run one operator behind those of ``done``."""
        op = self.operators[index]
        done |= 1 << index
        saved = max((words for users, words in op.savings if users & ~done == 0), default=0)
        freed = sum(words for users, words in op.frees if users & ~done == 0)
        ready = state.ready & ~(1 << index)
        for later in op.after:
            if self.operators[later].before & ~done == 0:
                ready |= 1 << later
        need = max(state.need, state.live + op.passing - saved)
        return _State(need, state.live + op.made - freed, ready, (index, state.path))

    def need(self, order: Sequence[int]) -> int:
        """Words at the fullest step of an order."""
        state, done = self.start(), 0
        for index in order:
            state = self.run(done, state, index)
            done |= 1 << index
        return state.need


def _flow(graph: Graph, wanted: Sequence[Need]) -> _Flow:
    users = readers(graph)
    bits = {name: sum(1 << index for index in indices) for name, indices in users.items()}
    makers = {op.output: index for index, op in enumerate(graph.ops)}
    words = {name: padded(graph.tensor(name).size) for name in users}
    operators = []
    for op, need in zip(graph.ops, wanted, strict=True):
        read = [name for name in dict.fromkeys(op.inputs) if name in users]
        operators.append(
            _Operator(
                before=sum(1 << makers[name] for name in read if name in makers),
                after=tuple(users[op.output]),
                frees=tuple((bits[n], words[n]) for n in read if n not in graph.outputs),
                savings=tuple((bits[name], _saving(graph, op, need, name)) for name in need.hosts),
                made=words[op.output],
                passing=words[op.output] + padded(need.scratch_bytes),
            )
        )
    least = max(
        op.passing + sum(size for _, size in op.frees) - max((s for _, s in op.savings), default=0)
        for op in operators
    )
    return _Flow(tuple(operators), sum(words[name] for name in graph.inputs), least)


def _saving(graph: Graph, op: Op, need: Need, name: str) -> int:
    return saving(need.share, graph.tensor(name).size, graph.tensor(op.output).size)


def _depth_first(graph: Graph, turn: int) -> tuple[int, ...]:
    """What makes the first output, then the next; of an operator's inputs the first or last first.

    turn: 1 or -1.
    """
    makers = {op.output: index for index, op in enumerate(graph.ops)}
    order: dict[int, None] = {}
    open_ = [makers[name] for name in reversed(graph.outputs)]
    while open_:
        index = open_[-1]
        before = [makers[name] for name in graph.ops[index].inputs if name in makers]
        missing = [maker for maker in before if maker not in order]
        if missing:
            open_ += missing[::-turn]
        else:
            order.setdefault(open_.pop())
    return tuple(order)


def _search(flow: _Flow, limit: int) -> tuple[tuple[int, ...] | None, bool]:
    """The best order that needs less than ``limit``, None if none does; whether that is certain.

    Step by step over sets of executed operators; of each set only the best way to it counts.
    """
    layer, is_complete = {0: flow.start()}, True
    for _ in flow.operators:
        layer, was_cut = _narrowed(layer, MAX_RUNS // len(flow.operators))
        is_complete &= not was_cut
        following: dict[int, _State] = {}
        for done, state in layer.items():
            for index, after in _choices(flow, done, state):
                known = following.get(done | 1 << index)
                if after.need < limit and (known is None or after.need < known.need):
                    following[done | 1 << index] = after
        layer = following
    ends = [_steps(state.path) for state in layer.values()]
    return (ends[0] if ends else None), is_complete


def _choices(flow: _Flow, done: int, state: _State) -> list[tuple[int, _State]]:
    """What to try next, with where it leads: all that is ready, or what is never wrong to run now.

    That is an operator after which no more lives than before and which needs no more than is
    needed anyhow: wherever else an order has it, moving it to here makes no step fuller.
    """
    ready = [(index, flow.run(done, state, index)) for index in _bits(state.ready)]
    bar = max(state.need, flow.least)
    for index, after in ready:
        if after.live <= state.live and after.need <= bar:
            return [(index, after)]
    return ready


def _narrowed(states: dict[int, _State], runs: int) -> tuple[dict[int, _State], bool]:
    """The most promising states, which allow ``runs`` choices in all, and whether any had to go."""
    if sum(state.ready.bit_count() for state in states.values()) <= runs:
        return states, False
    kept: dict[int, _State] = {}
    for done in sorted(states, key=lambda done: (states[done].need, states[done].live)):
        runs -= states[done].ready.bit_count()
        if kept and runs < 0:
            break
        kept[done] = states[done]
    return kept, len(kept) < len(states)


def _bits(number: int) -> Iterator[int]:
    while number:
        lowest = number & -number
        yield lowest.bit_length() - 1
        number ^= lowest


def _steps(path: _Path | None) -> tuple[int, ...]:
    steps = []
    while path is not None:
        index, path = path
        steps.append(index)
    return tuple(reversed(steps))
