"""The order of execution needs the least memory that any order does."""

from hypothesis import HealthCheck, given, settings
from plan_nets import Branches, branching, seeded_branches

from engine import order as orders
from engine.needs import needs
from engine.order import best_order
from engine.packing import step_bounds
from engine.tables import padded
from engine.tenants import tenants

MANY = settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)


def need(graph, wanted, order):
    """What the fullest step of an order needs, by the bounds of its packing, in whole words."""
    living = tenants(graph, wanted, order)
    return max(padded(bound) for bound in step_bounds(living.blocks, living.shares))


def all_orders(graph, start=()):
    """Every order that runs no operator before its inputs are made."""
    if len(start) == len(graph.ops):
        yield start
    made = {*graph.inputs, *graph.constants, *(graph.ops[index].output for index in start)}
    for index, op in enumerate(graph.ops):
        if index not in start and made.issuperset(op.inputs):
            yield from all_orders(graph, (*start, index))


@MANY
@given(branching(max_ops=7))
def test_no_order_needs_less(graph):
    wanted = needs(graph)
    found = best_order(graph, wanted)
    assert found.is_best
    assert found.steps in set(all_orders(graph))
    least = min(need(graph, wanted, order) for order in all_orders(graph))
    assert need(graph, wanted, found.steps) == least


@MANY
@given(branching(max_ops=7))
def test_the_order_of_the_file_stays_where_none_is_better(graph):
    wanted = needs(graph)
    given_order = tuple(range(len(graph.ops)))
    found = best_order(graph, wanted)
    if found.steps != given_order:
        assert need(graph, wanted, found.steps) < need(graph, wanted, given_order)


def test_an_order_that_cannot_be_proven_still_betters_that_of_the_file(monkeypatch):
    graph = seeded_branches(9, 60)
    wanted = needs(graph)
    monkeypatch.setattr(orders, "MAX_RUNS", 1000)
    found = best_order(graph, wanted)
    assert not found.is_best
    assert sorted(found.steps) == list(range(60))
    assert need(graph, wanted, found.steps) < need(graph, wanted, range(60))


def test_a_branch_is_finished_before_the_next_one_begins():
    """The file opens both wide branches before it closes the first."""
    net = Branches(lambda _low, high: high, 1)
    net.convolve("in0", 40).convolve("in0", 40).convolve("t0", 2).convolve("t1", 2)
    graph = net.graph()
    assert best_order(graph, needs(graph)).steps == (0, 2, 1, 3)
