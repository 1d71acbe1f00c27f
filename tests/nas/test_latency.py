"""The latency model on boards made up of known costs."""

import json
import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau

from engine.cmodel import Layer
from engine.dispatch import layers
from farm.measure import Measurement
from nas.latency import LatencyError, LatencyModel, fit_model
from nas.latency_fit import errors, kendall_tau
from nas.latency_rows import row_from_measurement, unique
from nas.microbench import heldout_networks, layer_images, whole_networks

CONSTANT = 150.0


@cache
def unit_cost(column):
    """A made-up cost of one unit, 1 to 40 cycles, fixed by the column's name."""
    seed = int.from_bytes(column.encode(), "little") % 2**32
    return float(np.exp(np.random.default_rng(seed).uniform(0, np.log(40))))


def layer_cost(layer, bend=0.0):
    linear = sum(unit_cost(f"{layer.kernel}.{k}") * v for k, v in layer.features.items())
    return linear * (1 + bend * math.sin(layer.macs))


def measurement(name, table, bend=0.0, **changes):
    cycles = [round(layer_cost(layer, bend)) for layer in table]
    total = sum(cycles) + round(CONSTANT)
    parts = {
        "name": name, "status": "ok", "board": "b-01", "board_type": "nucleo", "virtual": True,
        "image_key": f"key-{name}", "output_ok": True, "samples": (total, total, total),
        "cycles": total, "layer_cycles": tuple(cycles), "clock_hz": 1_000_000,
        "timing_model": "m4-v1",
    }  # fmt: skip
    return Measurement(**(parts | changes))


@cache
def tables(kind):
    made = {
        "layers": lambda: layer_images(0, 5),
        "whole": lambda: whole_networks(0, 6),
        "heldout": lambda: heldout_networks(0, 19),
        "later": lambda: heldout_networks(9, 12),
    }[kind]()
    return [(f"{kind}-{graph.name}", layers(graph)) for graph in made]


def rows(kind, bend=0.0):
    return [
        row_from_measurement(table, measurement(name, table, bend), chain=kind == "layers")
        for name, table in tables(kind)
    ]


@cache
def model(bend=0.0):
    return fit_model(
        "nucleo", "fw", "m4-v1", rows("layers", bend) + rows("whole", bend), rows("heldout", bend)
    )


def test_costs_that_are_linear_in_the_features_are_found():
    assert model().heldout.max_error_percent < 0.5
    assert model().heldout.kendall_tau > 0.99
    fitted = {layer.kernel for kind in ("layers", "whole") for _, t in tables(kind) for layer in t}
    later = [(n, t) for n, t in tables("later") if {layer.kernel for layer in t} <= fitted]
    assert len(later) >= 11  # a sum that is no line, which is seldom, has a kernel of its own
    for name, table in later:
        assert model().predict(table).cycles == pytest.approx(
            measurement(name, table).cycles, rel=0.01
        )


def test_macs_alone_do_much_worse():
    assert model().baseline.median_error_percent > 10 * model().heldout.median_error_percent
    assert model().baseline.networks == model().heldout.networks == 19


def test_no_cost_is_negative():
    assert min(model(0.05).coefficients.values()) >= 0


def test_layers_sum_up_to_the_network():
    name, table = tables("later")[0]
    per_layer = model().layer_cycles(table)
    assert per_layer == pytest.approx([layer_cost(layer) for layer in table], rel=0.05, abs=50)
    assert sum(per_layer) <= model().predict(table).cycles
    assert measurement(name, table).layer_cycles != per_layer


def test_the_bound_is_the_order_statistic_that_it_says():
    bent = model(0.05)
    excess = [row.cycles / bent.predict_row(row).cycles - 1 for row in bent.heldout_rows]
    assert bent.confidence == 0.95
    assert bent.margin == pytest.approx(max(*excess, 0))
    assert all(
        row.cycles <= bent.predict_row(row).upper_cycles * (1 + 1e-12) for row in bent.heldout_rows
    )


def test_the_bound_covers_networks_that_come_later():
    bent = model(0.05)
    over = [
        measurement(name, table, 0.05).cycles > bent.predict(table).upper_cycles
        for name, table in tables("later")
    ]
    assert sum(over) <= 2


def test_few_heldout_networks_give_less_confidence():
    few = fit_model("nucleo", "fw", None, rows("layers"), rows("heldout")[:4])
    assert few.confidence == 0.8


def unseen_layer(**changes):
    parts = {"index": 0, "name": "new", "kind": "conv2d", "kernel": "tr_future",
             "input_shape": (8, 8, 8), "output_shape": (8, 8, 8), "macs": 10_000,
             "features": {"calls": 1.0, "taps": 0.0}}  # fmt: skip
    return Layer(**(parts | changes))


def test_an_unseen_kernel_has_no_bound():
    table = (*tables("later")[0][1], unseen_layer())
    foreseen = model().predict(table)
    assert foreseen.unseen == ("tr_future.calls",)
    assert math.isinf(foreseen.upper_cycles)
    assert math.isfinite(foreseen.cycles)
    assert foreseen.cycles >= model().predict(table[:-1]).cycles


def test_an_unseen_loop_of_a_known_kernel_has_no_bound():
    layer = unseen_layer(kernel="tr_pointwise", features={"calls": 1.0, "new_loop": 5.0})
    assert model().predict((layer,)).unseen == ("tr_pointwise.new_loop",)


def observations(bend=0.05, **changes):
    return [(table, measurement(name, table, bend, **changes)) for name, table in tables("later")]


def test_observing_sharpens_the_model():
    flat = fit_model("nucleo", "fw", "m4-v1", rows("layers"), rows("heldout"))
    slower = [
        (table, replace(m, cycles=m.cycles + 5000, samples=(m.cycles + 5000,)))
        for table, m in observations(0.0)
    ]
    sharper = flat.observe(slower[:8])
    for table, m in slower[8:]:
        before, after = flat.predict(table).cycles, sharper.predict(table).cycles
        assert abs(after - m.cycles) < abs(before - m.cycles)
    assert len(sharper.rows) == len(flat.rows) + 8
    assert sharper.heldout_rows == flat.heldout_rows


@settings(max_examples=4, deadline=None)
@given(st.permutations(range(6)), st.integers(1, 5))
def test_order_and_repetition_of_observations_do_not_matter(order, cut):
    seen = [observations()[index] for index in order]
    at_once = model().observe(sorted(seen, key=lambda pair: pair[1].name))
    in_parts = model().observe(seen[:cut]).observe(seen).observe(seen[cut:])
    assert in_parts == at_once


def test_observing_nothing_new_changes_nothing():
    again = [(table, measurement(name, table)) for name, table in tables("whole")]
    held = [(table, measurement(name, table)) for name, table in tables("heldout")]
    assert model().observe(again + held) is model()


@pytest.mark.parametrize(
    "changes", [{"board_type": "other"}, {"timing_model": "m7-v1"}, {"timing_model": None}]
)
def test_measurements_of_other_boards_are_refused(changes):
    with pytest.raises(LatencyError, match="calibrate anew"):
        model().observe(observations(**changes)[:1])


def test_a_network_without_timing_is_refused():
    name, table = tables("later")[0]
    failed = Measurement(
        name=name, status="wrong_output", board="b", board_type="nucleo", virtual=True,
        timing_model="m4-v1",
    )  # fmt: skip
    with pytest.raises(LatencyError, match="wrong_output"):
        model().observe([(table, failed)])
    with pytest.raises(LatencyError, match="layers"):
        model().observe([(table[1:], measurement(name, table))])


def test_nothing_to_fit_or_to_judge_by_is_refused():
    for fitted, held in (([], rows("heldout")), (rows("whole"), [])):
        with pytest.raises(LatencyError, match="nucleo"):
            fit_model("nucleo", "fw", None, fitted, held)


def test_a_model_survives_its_file(tmp_path):
    path = tmp_path / "deep" / "nucleo.json"
    model(0.05).save(path)
    back = LatencyModel.load(path)
    assert back == model(0.05)
    _, table = tables("later")[0]
    assert back.predict(table) == model(0.05).predict(table)
    assert back.observe(observations()) == model(0.05).observe(observations())
    assert [p.name for p in path.parent.iterdir()] == ["nucleo.json"]


def edited(tmp_path, edit):
    path = tmp_path / "model.json"
    model().save(path)
    value = json.loads(path.read_text())
    edit(value)
    path.write_text(json.dumps(value))
    return path


@pytest.mark.parametrize(
    "edit",
    [
        lambda v: v.update(version=99),
        lambda v: v.pop("coefficients"),
        lambda v: v.update(coefficients=[1]),
        lambda v: v["coefficients"].update(x=-1.0),
        lambda v: v["coefficients"].update(x="1"),
        lambda v: v.update(margin=float("nan")),
        lambda v: v.update(rows=[{}]),
        lambda v: v["rows"][0].update(layers=[[1]]),
        lambda v: v["rows"][0].update(cycles="many"),
        lambda v: v["rows"][0].update(cycles=0),
        lambda v: v["rows"][0].update(cycles=10**400),
        lambda v: v["rows"][0].update(layers=[]),
        lambda v: v["rows"][0]["layers"][0].__setitem__(1, float("nan")),
        lambda v: v.update(rows=[]),
        lambda v: v["heldout"].update(extra=1),
        lambda v: v["heldout"].update(kendall_tau="1"),
    ],
)
def test_damaged_files_are_refused(tmp_path, edit):
    path = edited(tmp_path, edit)
    with pytest.raises(LatencyError, match="calibrate anew"):
        LatencyModel.load(path)


@pytest.mark.parametrize("text", ["", "[]", "null", "[" * 100_000])
def test_files_of_something_else_are_refused(tmp_path, text):
    path = tmp_path / "model.json"
    path.write_text(text)
    with pytest.raises(LatencyError):
        LatencyModel.load(path)


def test_of_several_measurements_of_one_network_the_fastest_counts():
    name, table = tables("later")[0]
    slow, fast = (
        row_from_measurement(table, measurement(name, table, cycles=c, samples=(c,)))
        for c in (900, 800)
    )
    assert unique([slow, fast]) == unique([fast, slow]) == (fast,)


def test_errors_are_summarised_over_networks():
    e = errors([100, 106, 95, 120], [100, 100, 100, 100])
    assert (e.networks, e.median_error_percent, e.max_error_percent) == (4, 5.5, 20)
    assert (e.mean_error_percent, e.p95_error_percent) == (7.75, 20)
    assert (e.within_5_percent, e.within_10_percent) == (50, 75)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=12))
def test_kendall_tau_is_that_of_scipy(pairs):
    first, second = zip(*pairs, strict=True)
    expected = kendalltau(first, second).statistic
    assert kendall_tau(first, second) == pytest.approx(0 if math.isnan(expected) else expected)
