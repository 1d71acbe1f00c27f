"""A plan, checked step by step against nothing but the graph and its kernels."""

from itertools import combinations

from engine.dispatch import choose


def check_plan(graph, plan, *, plain=False, guard_bytes=0):
    """Run through the plan's order and assert that no live thing is overwritten."""
    _check_order(graph, plan)
    assert set(plan.offsets) == {t.name for t in graph.tensors} - set(graph.constants)
    places = (*plan.offsets.values(), *plan.scratch_offsets.values())
    assert all(at % 4 == 0 and at >= guard_bytes for at in places)
    ends = [at + graph.tensor(name).size for name, at in plan.offsets.items()]
    ends += [at + plan.scratch_sizes[name] for name, at in plan.scratch_offsets.items()]
    assert plan.peak_bytes == max(ends) + guard_bytes
    assert 0 < plan.lower_bound_bytes <= plan.peak_bytes
    shared = set()
    for step, index in enumerate(plan.order):
        shared |= _check_step(graph, plan, step, index, plain, guard_bytes)
    assert plan.in_place == shared


def _check_order(graph, plan):
    assert sorted(plan.order) == list(range(len(graph.ops)))
    made = {*graph.inputs, *graph.constants}
    for index in plan.order:
        assert set(graph.ops[index].inputs) <= made
        made.add(graph.ops[index].output)


def _check_step(graph, plan, step, index, plain, guard_bytes):
    """Names of the operator if it works in place."""
    op = graph.ops[index]
    row = choose(graph, op, plain=plain)
    size = row.scratch_bytes(graph, op)
    assert plan.scratch_sizes.get(op.name, 0) == size
    assert (op.name in plan.scratch_offsets) == (size > 0)
    done = {graph.ops[i].output for i in plan.order[: step + 1]}
    left = {name for i in plan.order[step + 1 :] for name in graph.ops[i].inputs}
    later = left | set(graph.outputs)
    live = ({*graph.inputs} | done) & (later | set(op.inputs)) | {op.output}
    spans = {name: (plan.offsets[name], graph.tensor(name).size) for name in live}
    if size:
        spans[None] = (plan.scratch_offsets[op.name], size)
    shared = set()
    for one, two in combinations(spans, 2):
        (low, low_size), (high, _) = sorted((spans[one], spans[two]))
        if low + low_size + guard_bytes <= high:
            continue
        assert op.output in (one, two)
        host = two if one == op.output else one
        assert host in op.inputs
        assert host not in later
        alone = len(op.inputs) == 1 or spans[host][1] == spans[op.output][1]
        lead = row.lead_bytes(graph, op)
        assert alone
        assert lead is not None
        distance = spans[host][0] - spans[op.output][0]
        assert distance == lead if row.lead_is_exact else distance >= lead
        assert low + low_size > high
        shared.add(op.name)
    return shared
