"""Faults of a virtual board as the bench sees them: one sentence or a result that is right."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from toy_model import INPUT, OUTPUT, toy

from farm import probe as farm_probe
from farm.bench import measure_on_board
from farm.errors import BenchError
from farm.image import Image, build_image
from farm.mcus import load_mcu
from farm.measure import Measurement
from farm.probe import open_probe
from farm.rack.inventory import Board, BoardType
from farm.runs import Trial
from farm.virtual import faults, rack
from farm.virtual.faults import Fault, fault


@dataclass(frozen=True)
class Blank:
    """Something to flash in place of the image."""

    name: str = "blank"

    def segments(self) -> list[tuple[int, bytes]]:
        return [(MCU.flash.base, bytes(16))]


BLANK = Blank()
WEIGHTS = b"\x01" + bytes(255)  # of the toy
BOARD = Board("m4", BoardType("nucleo-f412zg", "stm32f412zg", "stm32f412xg"), "virtual:TR-BAD-4")
MCU = load_mcu("stm32f412zg")


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory, shared_cache: Path) -> Iterator[Image]:
    """What is measured, with the board up in the state folder of this file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        patch.setenv("XDG_CACHE_HOME", str(shared_cache))
        rack.ensure_up(BOARD)
        yield build_image(toy(), MCU, BOARD.type.name)
        rack.down([BOARD.probe_uid])


@pytest.fixture(autouse=True)
def private_dirs(image: Image) -> Iterator[None]:
    """The state of this file, and a sound board for each test of it."""
    faults.clear(BOARD)
    rack.power(BOARD, "cycle")
    yield
    faults.clear(BOARD)
    rack.power(BOARD, "on")


def measure(
    image: Image, on_stage: Callable[[str], None] = lambda _: None, deadline_s: float = 20.0
) -> Measurement:
    return measure_on_board(BOARD, MCU, image, Trial(INPUT, OUTPUT, 3), deadline_s, on_stage)


def at_stage(stage: str, what: Fault) -> Callable[[str], None]:
    """Begin the fault when the measurement gets there."""

    def on_stage(entered: str) -> None:
        if entered == stage:
            faults.inject(BOARD, what)

    return on_stage


@pytest.mark.parametrize(
    "what",
    [
        fault("uart-lose", seed=1, chance=0.0008),
        fault("uart-repeat", seed=2, chance=0.0008),
        fault("uart-flip", seed=3, chance=0.0008),
        fault("uart-delay", seed=4, every=200, ms=30),
        fault("probe-slow", ms=1),
    ],
    ids=lambda what: what.kind,
)
def test_noise_costs_time_and_never_a_wrong_result(what: Fault, image: Image) -> None:
    plain = measure(image)
    faults.inject(BOARD, what)
    noisy = measure(image)
    assert noisy.status == "ok"
    assert (noisy.cycles, noisy.layer_cycles) == (plain.cycles, plain.layer_cycles)
    assert noisy.provenance["faults"] == str(what)
    assert "faults" not in plain.provenance


@pytest.mark.parametrize(
    ("what", "said"),
    [
        (fault("core-hang"), "no answer to TIME"),
        (fault("core-lockup"), "no answer to TIME"),
        (fault("power-cut"), "no answer to TIME"),
        (fault("brown-out"), "it refused TIME"),
        (fault("daemon-kill", after=10, count="sent"), "the console"),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else None,
)
def test_board_that_fails_in_mid_run_is_one_sentence_and_measures_again(
    what: Fault, said: str, image: Image
) -> None:
    with pytest.raises(BenchError, match=rf"^m4: in stage time: .*{said}"):
        measure(image, at_stage("time", what), deadline_s=6.0)
    rack.ensure_up(BOARD)
    rack.power(BOARD, "on")
    assert measure(image).status == "ok"


def test_board_that_fails_before_it_runs_is_one_sentence_that_names_the_stage(
    image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One after the other on one board: each attempt shows that the one before left it usable."""
    for name in farm_probe.FLASH_DEADLINES_S:
        monkeypatch.setitem(farm_probe.FLASH_DEADLINES_S, name, 0.3)
    at = MCU.flash.base
    with open_probe(BOARD, MCU) as probe:  # or there is nothing to be flashed
        probe.flash(BLANK)
    for stage, what, said in (
        ("connect", fault("probe-refuse", times=1), "connect: .*the probe cannot be opened"),
        ("flash", fault("probe-drop", after=20), "flash: .*its probe is unplugged"),
        ("flash", fault("flash-erase", at=at, times=1), "flash: .*flash erase sector failure"),
        ("flash", fault("flash-program", at=at, times=1), "flash: .*flash program page failure"),
        ("flash", fault("flash-busy"), "flash: .*flashing failed: flash .*time"),
        ("flash", fault("brown-out", after=1, count="erases"), "flash: .*no acknowledge"),
        ("flash", fault("power-cut", after=9), "flash: .*no acknowledge on the wire"),
        ("verify", fault("flash-rot", at=at, bytes=512), "verify: .*flash at 0x0800.* holds"),
        ("verify", fault("flash-cell", at=at + 1, bit=3, value=1), "verify: .*at 0x08000001 hold"),
        ("clock", fault("daemon-kill"), "clock: .*the console"),
    ):
        with pytest.raises(BenchError, match=rf"^m4: in stage {said}"):
            measure(image, at_stage(stage, what), deadline_s=30.0)
        rack.ensure_up(BOARD)
        faults.clear(BOARD)
        rack.power(BOARD, "cycle")
    assert measure(image).status == "ok"


@pytest.mark.parametrize("percent", [2.0, -3.0])
def test_clock_that_is_off_is_refused_and_one_that_is_nearly_right_is_not(
    percent: float, image: Image
) -> None:
    faults.inject(BOARD, fault("clock-drift", percent=percent))
    measured = f"{100 + percent:.2f} MHz, {abs(percent)} % off the 100 MHz"
    with pytest.raises(BenchError, match=rf"in stage clock: its clock measures {measured}"):
        measure(image)
    faults.clear(BOARD)
    faults.inject(BOARD, fault("clock-drift", percent=0.5))
    assert measure(image).status == "ok"


def test_console_of_a_board_whose_clock_is_far_off_is_unreadable(image: Image) -> None:
    faults.inject(BOARD, fault("clock-drift", percent=8.0))
    with pytest.raises(BenchError, match=r"in stage banner: .*no answer to HELLO"):
        measure(image, deadline_s=6.0)
    faults.clear(BOARD)
    assert measure(image).status == "ok"


def test_board_without_its_external_clock_says_so(image: Image) -> None:
    faults.inject(BOARD, fault("clock-source"))
    found = measure(image)
    assert (found.status, found.message) == ("ok", "internal oscillator")
    assert found.provenance["clock_source"] == "internal"
    faults.clear(BOARD)
    assert measure(image).provenance["clock_source"] == "external"


def test_board_whose_pll_does_not_lock_is_not_measured(image: Image) -> None:
    faults.inject(BOARD, fault("clock-source", lost="pll"))
    said = "in stage banner: its clock recipe failed: it runs at 16000000 Hz, not 100000000"
    with pytest.raises(BenchError, match=said):
        measure(image)
    faults.clear(BOARD)
    assert measure(image).status == "ok"


def test_output_that_is_wrong_because_flash_rots_is_a_failure_of_the_bench(image: Image) -> None:
    """The bits change behind the verification, among the weights that are in use."""
    start, data = next((at, data) for at, data in image.segments() if WEIGHTS in data)
    rot = fault("flash-rot", at=start + data.index(WEIGHTS) + 1, bytes=19)
    with pytest.raises(BenchError, match=r"^m4: in stage verify again: .*flash at 0x08.* holds"):
        measure(image, at_stage("banner", rot))
    assert measure(image).status == "ok"


def test_flash_that_rots_where_no_output_shows_it_is_seen_by_what_is_verified_again(
    image: Image,
) -> None:
    unused = fault("flash-rot", at=MCU.flash.base + 28, bytes=16)  # vectors of no exception
    trial = Trial(INPUT, OUTPUT, 3, "calibration")
    with pytest.raises(BenchError, match=r"^m4: in stage verify again: .*flash at 0x08.* holds"):
        measure_on_board(BOARD, MCU, image, trial, 20.0, at_stage("banner", unused))


def test_fault_of_another_board_says_nothing_of_this_one(image: Image) -> None:
    with pytest.raises(BenchError, match="rack up"):
        faults.inject(replace(BOARD, probe="virtual:TR-NOBODY"), fault("core-hang"))
    assert measure(image).status == "ok"
