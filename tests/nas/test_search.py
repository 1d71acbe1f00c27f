"""The whole loop on a made-up rack; `hil_tests` and CI run it on the virtual one."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from made_up import RACK_FILE, TYPE, MadeUpBench, timed

from engine import toolchain
from engine.graph_file import load_graph
from engine.host import WARNING_FLAGS
from engine.reference import run
from farm.measure import Measurement
from nas import calibrate
from nas.candidate import Limits
from nas.config import SearchConfig, default_name
from nas.console import Stages
from nas.data import Split, load_dataset
from nas.errors import InfeasibleError, NasError, RunError, SpaceError
from nas.evolve import EvolveSettings
from nas.judge import Quota
from nas.search import search
from nas.shrink import ShrinkSettings
from nas.space import SearchSpace, Stage, default_space
from nas.tinynas import TinyNAS

# A small space at half the resolution of the images, so that a search takes a second or two.
SPACE = SearchSpace(
    input_channels=1, classes=10, resolutions=(8,), stem_channels=8,
    stages=(Stage(8, 1, (1, 2)), Stage(16, 2, (1, 2))), head_channels=32,
    widths=(0.5, 1.0), kernels=(3, 5), expansions=(2, 3),
)  # fmt: skip
LIMITS = Limits(2000, 24_000, 1.6)
CONFIG = SearchConfig(
    boards_file=RACK_FILE,
    limits=LIMITS,
    space=SPACE,
    epochs=2,
    fine_tune_epochs=2,
    shrink=ShrinkSettings(shapes=3, scored_at_width=2, scored_at_parent=2, survivors=3),
    evolve=EvolveSettings(population=6, tournament=3, children=6, round=3, finalists=2),
    quota=Quota(settled=4, settled_at_once=2, settled_at_least=1, finalists=4, evaluated=60),
)


@pytest.fixture(autouse=True)
def _small_calibration(monkeypatch):
    monkeypatch.setattr(calibrate, "QUICK", calibrate.Size(1, 2, 2, every_row=False))


@pytest.fixture
def _undrawn(monkeypatch):
    """For searches whose report nobody reads."""
    monkeypatch.setattr("nas.report.write_report", lambda _: None)


def unfinished(outcome, path):
    """A copy of a finished search that has yet to name its winner: it keeps what it trained."""
    shutil.copytree(outcome.path, path / "run")
    (path / "run" / "winner.json").unlink()


def go(path, bench, config=CONFIG, name="run", fresh=False):
    return search(config, path, name, fresh, Stages(), bench.open)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One undisturbed search, which several tests look at."""
    path = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(path / "state"))
        patch.setattr(calibrate, "QUICK", calibrate.Size(1, 2, 2, every_row=False))
        bench = MadeUpBench()
        return go(path, bench), bench


def test_the_winner_is_measured_within_the_limits(finished):
    outcome, _ = finished
    (row,) = outcome.winner["results"]
    result = Measurement.from_json(row)
    assert result.output_ok
    assert result.peak_sram_bytes <= LIMITS.sram_bytes
    assert result.flash_bytes <= LIMITS.flash_bytes
    assert result.latency_ms <= LIMITS.latency_ms
    assert 0.2 < outcome.winner["int8_accuracy"] <= 1
    assert abs(outcome.winner["int8_accuracy"] - outcome.winner["float_accuracy"]) <= 0.02
    assert sum(x["measured_cycles"] for x in outcome.winner["layers"]) <= result.cycles
    assert set(outcome.winner["promised"]) == {TYPE}


def test_the_run_directory_holds_every_candidate_and_the_report(finished):
    outcome, bench = finished
    rows = [json.loads(x) for x in (outcome.path / "candidates.jsonl").read_text().splitlines()]
    assert {row["stage"] for row in rows} == {"width", "depth", "evolve"}
    measured = {row["id"] for row in rows if row["source"] == "measured"}
    asked = {job.name for job in bench.jobs if job.name.startswith("net_")}
    assert 2 <= len(measured) <= CONFIG.quota.settled + CONFIG.quota.finalists
    assert {f"net_{name}" for name in measured} <= asked
    assert (outcome.path / "report.html").stat().st_size > 10_000
    assert (outcome.path / "report.png").read_bytes()[:4] == b"\x89PNG"


def test_the_exported_c_library_compiles_alone_and_is_the_exported_graph(finished, tmp_path):
    outcome, bench = finished
    folder = outcome.path / "c"
    files = {path.name: path.read_text() for path in folder.iterdir()}
    assert toolchain.build_shared(files, "exported", WARNING_FLAGS).stat().st_size > 1000
    graph = load_graph(outcome.path / "model.tinyrack.npz")
    job = bench.jobs[-1]
    shape = graph.tensor(graph.input).shape
    x = np.frombuffer(job.input, np.int8).reshape(shape)
    assert run(graph, x).tobytes() == job.expected


def test_the_example_builds_as_its_comment_says_and_prints_what_the_reference_gives(
    finished, tmp_path
):
    outcome, _ = finished
    text = (outcome.path / "c" / "main.c").read_text()
    assert "cc -O2 *.c -o example && ./example" in text
    sources = map(str, (outcome.path / "c").glob("*.c"))
    program = tmp_path / "example"
    compiler = ["cc"] if shutil.which("cc") else [sys.executable, "-m", "ziglang", "cc"]
    command = [*compiler, "-O2", *sources, "-o", str(program)]
    subprocess.run(command, check=True, timeout=120)
    printed = subprocess.run([program], check=True, timeout=120, capture_output=True).stdout
    graph = load_graph(outcome.path / "model.tinyrack.npz")
    expected = run(graph, np.zeros(graph.tensor(graph.input).shape, np.int8))
    assert [int(line) for line in printed.split()] == expected.ravel().tolist()


@pytest.mark.usefixtures("_undrawn")
def test_the_same_search_elsewhere_gives_the_same_winner_and_cycles(finished, tmp_path):
    outcome, _ = finished
    again = go(tmp_path, MadeUpBench(), name="elsewhere")
    for key in ("id", "int8_accuracy", "float_accuracy", "promised"):
        assert again.winner[key] == outcome.winner[key]
    assert again.winner["results"][0]["cycles"] == outcome.winner["results"][0]["cycles"]


@pytest.mark.usefixtures("_undrawn")
def test_the_test_images_decide_nothing(finished, tmp_path, monkeypatch):
    outcome, bench = finished
    data = load_dataset("digits")
    wrong = Split(data.test.images[::-1].copy(), data.test.labels)
    monkeypatch.setattr("nas.search.load_dataset", lambda *_: replace(data, test=wrong))
    other = MadeUpBench()
    again = go(tmp_path, other)
    assert again.winner["id"] == outcome.winner["id"]
    # The very same weights and scales: no test image took part in training or quantisation.
    assert other.jobs[-1].model.sha256 == bench.jobs[-1].model.sha256
    assert again.winner["int8_accuracy"] < 0.2  # of images with the labels of others


@pytest.mark.usefixtures("_undrawn")
def test_a_finished_search_is_not_done_again(finished, tmp_path):
    outcome, _ = finished

    def refuse(job):
        raise AssertionError(f"{job.name} measured again")

    again = go(outcome.path.parent, MadeUpBench(refuse))
    assert again.winner == outcome.winner


@pytest.mark.usefixtures("_undrawn")
def test_a_search_stopped_anywhere_goes_on_to_the_same_winner(finished, tmp_path):
    outcome, bench = finished
    # In the calibration, at the first finalist, and at the winner (then with a calibration kept).
    jobs = len(bench.jobs)
    calibration = sum(job.name.startswith("calibrate-") for job in bench.jobs)
    for stop in (3, jobs - 2, jobs - calibration - 1):
        count = iter(range(10**6))

        def answer(job, count=count, stop=stop):
            if next(count) == stop:
                raise KeyboardInterrupt
            return timed(job)

        with pytest.raises(KeyboardInterrupt):
            go(tmp_path, MadeUpBench(answer))
        assert not (tmp_path / "run" / "winner.json").exists()
    again = go(tmp_path, MadeUpBench())
    assert again.winner["id"] == outcome.winner["id"]
    assert again.winner["int8_accuracy"] == outcome.winner["int8_accuracy"]


@pytest.mark.usefixtures("_undrawn")
def test_a_winner_that_breaks_a_limit_on_the_board_gives_way_to_the_next(finished, tmp_path):
    outcome, bench = finished
    final = bench.jobs[-1]

    def answer(job):
        late = job.model.sha256 == final.model.sha256
        return timed(job, slower=30.0 if late else 1.0)

    unfinished(outcome, tmp_path)
    other = go(tmp_path, MadeUpBench(answer))
    assert other.winner["id"] != outcome.winner["id"]
    assert other.winner["results"][0]["latency_ms"] <= LIMITS.latency_ms


@pytest.mark.usefixtures("_undrawn")
def test_when_no_finalist_keeps_its_promise_nothing_is_reported(finished, tmp_path):
    unfinished(finished[0], tmp_path)
    names = []

    def answer(job):
        # Fine-tuned networks bear names that were measured before, and come last.
        names.append(job.name)
        fine_tuned = len(names) > len(set(names))
        return timed(job, slower=99.0 if fine_tuned else 1.0)

    with pytest.raises(NasError, match="no network kept its promises") as caught:
        go(tmp_path, MadeUpBench(answer))
    assert caught.value.exit_code == 1
    assert not (tmp_path / "run" / "winner.json").exists()


def test_an_infeasible_search_ends_before_anything_is_trained(tmp_path):
    bench = MadeUpBench()
    with pytest.raises(InfeasibleError, match=r"latency limit of 0\.001 ms"):
        go(tmp_path, bench, replace(CONFIG, limits=Limits(latency_ms=0.001)))
    assert not (tmp_path / "run" / "state" / "supernet.json").exists()


def test_other_settings_in_the_same_directory_are_refused(finished):
    outcome, _ = finished
    with pytest.raises(RunError, match="seed"):
        go(outcome.path.parent, MadeUpBench(), replace(CONFIG, seed=5))


@pytest.mark.parametrize(
    ("stage", "text"),
    [
        ("supernet", '{"epochs": "x"}'),
        ("scores", '{"scores": {"a": 1}}'),
        ("scores", "{}"),
        (f"latency-{TYPE}", "[]"),
        ("finished", "{"),
    ],
)
def test_damaged_state_is_named_and_never_a_crash(finished, tmp_path, stage, text):
    outcome, _ = finished
    unfinished(outcome, tmp_path)
    (damaged,) = (tmp_path / "run" / "state").glob(f"{stage}*.json")
    whole = json.loads(damaged.read_text())
    kept = {"arrays_sha256": whole["arrays_sha256"]} if stage == "supernet" else None
    damaged.write_text(json.dumps(json.loads(text) | kept) if kept else text)
    with pytest.raises(RunError, match="--fresh") as caught:
        go(tmp_path, MadeUpBench())
    assert damaged.name in str(caught.value)


@pytest.mark.usefixtures("_undrawn")
def test_a_truncated_checkpoint_is_made_anew(finished, tmp_path):
    outcome, _ = finished
    unfinished(outcome, tmp_path)
    for path in (tmp_path / "run" / "state").glob("*.npz"):
        path.write_bytes(path.read_bytes()[:100])
    again = go(tmp_path, MadeUpBench())
    for key in ("id", "int8_accuracy", "float_accuracy", "promised"):
        assert again.winner[key] == outcome.winner[key]


def test_default_names_are_stable_and_tell_settings_apart():
    one = CONFIG.identity({TYPE: "x"}, "f")
    assert default_name(one) == default_name(CONFIG.identity({TYPE: "x"}, "f"))
    assert default_name(one) != default_name(replace(CONFIG, seed=1).identity({TYPE: "x"}, "f"))
    assert default_name(one).startswith("digits-")
    hostile = replace(CONFIG, data="../../etc/x y")
    assert "/" not in default_name(hostile.identity({TYPE: "x"}, "f"))


@pytest.mark.parametrize(
    "change",
    [{"limits": Limits(sram_bytes=-1)}, {"seed": -1}, {"epochs": 0}, {"fine_tune_epochs": 0}],
)
def test_malformed_settings_are_refused(change):
    with pytest.raises(NasError):
        replace(CONFIG, **change)


def test_a_space_of_other_images_is_refused():
    nas = TinyNAS(config=replace(CONFIG, space=default_space(16, 3, 10)))
    with pytest.raises(SpaceError, match="3"):
        _ = nas.space


def test_the_facade_gives_the_steps_one_by_one():
    nas = TinyNAS(memory_constraint=256, latency_constraint=100, config=replace(CONFIG, epochs=1))
    space = nas.define_search_space(widths=(0.25, 0.5), depths=(1, 2))
    assert space.kernels == (3, 5, 7)
    assert nas.build_supernet().space is space
    assert nas.train_supernet().space.count() == space.count()
    arch = space.min_arch
    variants = nas.generate_depth_variants(arch)
    assert [v.depths for v in variants] == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert 0 <= nas.evaluate_subnet(arch).accuracy <= 1
    images = nas.dataset.val.images[:3]
    logits = nas.extract_subnet(arch)(torch.from_numpy(images).permute(0, 3, 1, 2))
    assert logits.shape == (3, 10)


def test_the_facade_refuses_what_is_not_of_its_space_and_training_of_no_epochs():
    nas = TinyNAS(None, None, None, config=CONFIG)
    assert nas.config.limits == Limits()
    stranger = replace(nas.space.min_arch, width=0.3)
    steps = (
        *(nas.evaluate_subnet, nas.estimate_latency, nas.estimate_memory_usage),
        *(nas.meets_constraints, nas.generate_depth_variants, nas.extract_subnet),
    )
    for step in steps:
        with pytest.raises(SpaceError, match=r"0\.3"):
            step(stranger)
    for epochs in (0, -1):
        with pytest.raises(NasError, match="epochs"):
            nas.train_supernet(epochs)
