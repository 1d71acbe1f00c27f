"""Calibration on a rack that is made up; the real one is measured by `tinyrack calibrate`."""

from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.dispatch import KERNELS
from engine.graph_file import load_graph, save_graph
from engine.reference import run
from farm.job import Job
from farm.measure import Measurement
from farm.rack.inventory import load_rack
from nas.calibrate import (
    QUICK,
    calibrate,
    calibration_path,
    firmware_hash,
    load_calibration,
    plan,
)
from nas.errors import NasError
from nas.latency import LatencyError
from nas.row_samples import row_images

RACK_FILE = Path(__file__).parents[2] / "boards.yaml"
TYPE = "nucleo-f412zg"


@pytest.fixture(autouse=True)
def _own_state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


class MadeUpRack:
    """Answers jobs as a manager does, with cycles that are a sum over the features, as the
    model has them, so that a fit must find it again."""

    def __init__(self, **changes):
        self.rack = load_rack(RACK_FILE)
        self.jobs = []
        self.changes = changes

    def submit(self, job: Job):
        self.jobs.append(job)
        future = Future()
        future.set_result(replace(timed(job), **self.changes.get(job.name, {})))
        return future


def timed(job):
    cycles = [round(90 + 7 * sum(layer.features.values())) for layer in job.model.layers]
    total = sum(cycles) + 400
    return Measurement(
        name=job.name, status="ok", board="f412-01", board_type=job.board_type, virtual=True,
        image_key=job.model.sha256, output_ok=True, samples=(total,) * job.repeats, cycles=total,
        layer_cycles=tuple(cycles), clock_hz=100_000_000, timing_model="m4-v1",
    )  # fmt: skip


def untimed(status):
    return {"status": status, "output_ok": False, "samples": (), "cycles": 0, "layer_cycles": ()}


def test_it_measures_the_plan_and_fits_it():
    rack, seen = MadeUpRack(), []
    result = calibrate(rack, TYPE, quick=True, progress=lambda *step: seen.append(step))
    total = len(plan(0, QUICK))
    assert len(rack.jobs) == total
    assert [step[:2] for step in seen] == [(i + 1, total) for i in range(total)]
    assert len(result.rows) == QUICK.heldout_networks == result.model.heldout.networks
    assert result.model.heldout.max_error_percent < 0.1
    assert result.model.baseline.max_error_percent > result.model.heldout.max_error_percent
    for row in result.rows:
        assert row.name.startswith("calibrate-heldout")
        assert row.measured_cycles <= row.upper_cycles * (1 + 1e-9)


def test_a_second_calibration_gives_the_same_model():
    first, second = (calibrate(MadeUpRack(), TYPE, quick=True) for _ in range(2))
    assert first == second


def test_each_job_expects_what_the_reference_computes(tmp_path):
    rack = MadeUpRack()
    calibrate(rack, TYPE, quick=True)
    graphs = {f"calibrate-{p.graph.name}": p.graph for p in plan(0, QUICK)}
    for job in rack.jobs[:3]:
        save_graph(graphs[job.name], tmp_path / "graph")
        graph = load_graph(tmp_path / "graph")
        x = np.frombuffer(job.input, np.int8).reshape(graph.tensor(graph.input).shape)
        assert run(graph, x).tobytes() == job.expected


def test_a_wrong_output_is_never_fitted():
    rack = MadeUpRack(**{"calibrate-whole0": untimed("wrong_output") | {"message": "3 bytes"}})
    with pytest.raises(LatencyError, match=r"calibrate-whole0.*wrong_output: 3 bytes"):
        calibrate(rack, TYPE, quick=True)


def test_networks_that_do_not_fit_a_board_are_left_out_and_named():
    rack = MadeUpRack(**{"calibrate-layers1": untimed("too_big")})
    result = calibrate(rack, TYPE, quick=True)
    assert result.too_big == ("layers1",)
    assert "calibrate-layers1" not in result.model.fitted_on


def test_a_kept_model_is_found_until_the_firmware_changes():
    rack = load_rack(RACK_FILE)
    assert load_calibration(rack, TYPE) is None
    result = calibrate(MadeUpRack(), TYPE, quick=True)
    assert result.save() == calibration_path(TYPE)
    assert load_calibration(rack, TYPE) == result.model
    replace(result.model, firmware="of another harness").save(calibration_path(TYPE))
    assert load_calibration(rack, TYPE) is None


def test_it_runs_every_row_of_the_kernel_table():
    fitted = [p for p in plan(0, QUICK) if p.role != "heldout"]
    run = {(layer.kernel, layer.kind) for p in fitted for layer in p.model.layers}
    assert run >= {(row.c_name, row.kind) for row in KERNELS}


def test_a_row_that_no_sample_fits_is_named():
    odd = replace(KERNELS[0], c_name="tr_new", accepts=lambda _graph, _op: False)
    with pytest.raises(NasError, match="tr_new"):
        row_images(0, (), (odd,))


def test_a_row_of_its_own_is_measured_as_often_as_its_features_need():
    known = KERNELS[0]
    images = row_images(0, (), (replace(known, c_name="tr_new"),))
    rows = [row for image in images for row in image.selection.rows]
    op = images[0].graph.ops[0]
    assert {row.c_name for row in rows} == {"tr_new"}
    assert len(rows) > len(known.features(images[0].graph, op))


def test_firmware_differs_between_board_types():
    rack = load_rack(RACK_FILE)
    assert len({firmware_hash(rack, name) for name in rack.types}) == len(rack.types)


def test_a_board_type_cannot_lead_out_of_the_state_folder(tmp_path):
    path = calibration_path("../../etc/x")
    assert path.parent == tmp_path / "state" / "tinyrack" / "calibration"


def test_the_json_row_has_the_promised_fields():
    row = calibrate(MadeUpRack(), TYPE, quick=True).to_json()
    promised = {
        "median_error_percent", "mean_error_percent", "p95_error_percent", "within_5_percent",
        "within_10_percent", "kendall_tau",
    }  # fmt: skip
    assert promised <= row["heldout"].keys() & row["macs_only"].keys()
    assert (row["board_type"], row["virtual"], row["timing_model"]) == (TYPE, True, "m4-v1")
