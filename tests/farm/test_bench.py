import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toy_model import INPUT, OUTPUT, toy

from engine.emit import emit
from engine.graph import Padding
from engine.quantize import FloatNet, FloatOp, quantize
from engine.reference import run
from farm.banner import _other_image
from farm.bench import measure_on_board
from farm.board_clock import ClockMark, checked_clock_hz, clock_from_marks, spacing_cycles
from farm.errors import BenchError
from farm.image import Image, build_image
from farm.link import Link
from farm.mcus import Mcu, load_mcu
from farm.measure import Measurement
from farm.probe import open_probe
from farm.rack.inventory import Board, BoardType
from farm.runs import Trial
from farm.serial_port import open_port
from farm.virtual import rack

F412 = Board("m4", BoardType("nucleo-f412zg", "stm32f412zg", "stm32f412xg"), "virtual:TR-BENCH-4")
F767 = Board("m7", BoardType("nucleo-f767zi", "stm32f767zi", "stm32f767zi"), "virtual:TR-BENCH-7")
BOARDS = [F412, F767]
STAGES = ["connect", "flash", "verify", "reset", "console", "banner", "load"]
STAGES += ["cold", "trace", "time", "stack", "clock", "result"]


@pytest.fixture(scope="module")
def folders(
    tmp_path_factory: pytest.TempPathFactory, shared_cache: Path
) -> Iterator[dict[str, str]]:
    """State of this file, with both boards up in them."""
    state = tmp_path_factory.mktemp("state")
    made = {"XDG_STATE_HOME": str(state), "XDG_CACHE_HOME": str(shared_cache)}
    with pytest.MonkeyPatch.context() as patch:
        for name, folder in made.items():
            patch.setenv(name, folder)
        rack.up(BOARDS)
        yield made
        rack.down([board.probe_uid for board in BOARDS])


@pytest.fixture(autouse=True)
def own_folders(folders: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, folder in folders.items():
        monkeypatch.setenv(name, folder)


def image_for(board: Board, body: str = "") -> Image:
    return build_image(toy(body=body), load_mcu(board.type.mcu), board.type.name)


def measure(
    board: Board, image: Image, expected: bytes = OUTPUT, deadline_s: float = 30.0
) -> Measurement:
    mcu = load_mcu(board.type.mcu)
    return measure_on_board(board, mcu, image, Trial(INPUT, expected, 3), deadline_s)


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.id)
def test_a_network_costs_the_same_every_time_and_is_right(board: Board) -> None:
    stages: list[str] = []
    image = image_for(board)
    mcu = load_mcu(board.type.mcu)
    first = measure_on_board(board, mcu, image, Trial(INPUT, OUTPUT, 5), 30.0, stages.append)
    again = measure(board, image)
    assert stages == STAGES
    assert first.status == "ok"
    assert (first.cycles, first.layer_cycles) == (again.cycles, again.layer_cycles)
    assert first.samples == (first.cycles,) * 5
    assert first.virtual
    assert first.timing_model
    assert first.clock_measured_hz is None
    assert first.clock_hz == mcu.clock_hz
    assert 0 < first.stack_bytes < 1024
    assert first.peak_sram_bytes == image.static_ram_bytes + first.stack_bytes
    assert sum(first.layer_cycles) == pytest.approx(first.cycles, abs=60)
    assert first.latency_ms == pytest.approx(first.cycles / mcu.clock_hz * 1000)
    assert Measurement.from_json(first.to_json()) == first


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.id)
def test_a_real_network_gives_the_reference_s_bits_on_the_board(board: Board) -> None:
    rng = np.random.default_rng(3)

    def values(*shape: int) -> np.ndarray:
        return rng.normal(size=shape, scale=0.4).astype(np.float32)

    def conv(name: str, source: str, *sizes: int, **more: Any) -> FloatOp:
        kind = "depthwise_conv2d" if len(sizes) == 3 else "conv2d"
        bias = values(sizes[2] if len(sizes) == 3 else sizes[0])
        return FloatOp(kind, name, (source,), name, weights=values(*sizes), bias=bias, **more)

    same = {"kernel": (3, 3), "padding": Padding(1, 1, 1, 1), "activation": "relu6"}
    pool = {"kernel": (6, 6), "stride": (6, 6), "weights": None, "bias": None}
    ops = (
        conv("first", "in", 8, 3, 3, 3, stride=(2, 2), **same),
        conv("deep", "first", 3, 3, 8, **same),
        conv("point", "deep", 8, 1, 1, 8),
        FloatOp("add", "add", ("first", "point"), "add", weights=None, bias=None),
        FloatOp("average_pool2d", "pool", ("add",), "pool", **pool),
        FloatOp("fully_connected", "out", ("pool",), "out", weights=values(10, 8), bias=values(10)),
    )
    graph = quantize(FloatNet("net", (12, 12, 3), ops, "in", "out"), values(4, 12, 12, 3))
    x = rng.integers(-128, 128, size=(12, 12, 3), dtype=np.int8)
    mcu = load_mcu(board.type.mcu)
    image = build_image(emit(graph), mcu, board.type.name)
    expected = run(graph, x).tobytes()
    found = measure_on_board(board, mcu, image, Trial(x.tobytes(), expected, 3), 30.0)
    assert found.status == "ok"
    assert len(found.layer_cycles) == len(ops)
    assert min(found.layer_cycles) > 0


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.id)
def test_every_run_gets_the_input_although_a_run_destroys_it(board: Board) -> None:
    # As many steps as the last input byte says; without that byte in place, 0x55.
    image = image_for(board, "for (volatile int n = arena[299]; n > 0; --n) { }")
    mcu = load_mcu(board.type.mcu)
    given = INPUT[:-1] + b"\x7f"
    found = measure_on_board(board, mcu, image, Trial(given, OUTPUT, 5), 30.0)
    other = measure_on_board(board, mcu, image, Trial(INPUT[:-1] + b"\x55", OUTPUT, 5), 30.0)
    assert found.status == other.status == "ok"
    assert found.cycles > other.cycles + 42
    assert set(found.samples) == {found.cycles}
    assert found.cycles <= found.cold_cycles < found.cycles + 400  # the caches were empty
    # The pass that times layers runs code of its own, which is fetched anew.
    assert found.cycles - 60 < sum(found.layer_cycles) < found.cycles + 200


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.id)
def test_an_inference_of_more_cycles_than_the_counter_holds_is_counted_whole(board: Board) -> None:
    # Each of the two layers turns the counter on by 2.5e9, as if it had taken that long.
    skip = "*(volatile uint32_t *)0xe0001004u += 2500000000u;"
    model = toy(body=skip)
    files = dict(model.files)
    files["model.c"] = files["model.c"].replace("void sum(void) {", "void sum(void) { " + skip)
    long = build_image(replace(model, files=files), load_mcu(board.type.mcu), board.type.name)
    found, short = measure(board, long), measure(board, image_for(board))
    assert found.status == "ok"
    assert min(found.layer_cycles) > 2_500_000_000
    assert found.cycles - short.cycles == pytest.approx(5_000_000_000, abs=200)
    assert found.cold_cycles == pytest.approx(5_000_000_000, abs=10_000)
    assert found.latency_ms > 20_000


def test_outputs_stay_right_whatever_was_asked_before() -> None:
    with open_probe(F412, load_mcu("stm32f412zg")) as probe:
        probe.flash(image_for(F412))
        probe.reset()
    with open_port(F412, load_mcu("stm32f412zg").uart.baud) as port:
        link = Link(port, F412.id)
        link.banner()
        assert link.infer(INPUT) == OUTPUT
        asked = (
            lambda: link.time(3, 5.0), lambda: link.trace(2, 5.0), lambda: link.stack(5.0)
        )  # fmt: skip
        for ask in asked:
            ask()
            assert link.run(20, 5.0, cold=False).output == OUTPUT


def test_a_wrong_output_is_a_result_without_timing() -> None:
    wrong = OUTPUT[:7] + bytes([OUTPUT[7] ^ 0x80]) + OUTPUT[8:]
    found = measure(F412, image_for(F412), wrong)
    assert found.status == "wrong_output"
    assert found.message == "1 of 20 output bytes are wrong, the first at 7: 15 instead of -113"
    assert (found.samples, found.latency_ms, found.output_ok) == ((), 0.0, False)


def deep(size: int) -> str:
    """C that uses so many bytes of stack."""
    return f"volatile int8_t d[{size}]; for (int i = 0; i < {size}; ++i) d[i] = arena[i % 300];"


def test_the_stack_a_layer_needs_is_seen_and_one_nearly_full_is_no_measurement() -> None:
    plain = measure(F412, image_for(F412))
    more = measure(F412, image_for(F412, deep(1000)))
    assert more.stack_bytes - plain.stack_bytes == pytest.approx(1000, abs=64)
    assert more.peak_sram_bytes - plain.peak_sram_bytes == more.stack_bytes - plain.stack_bytes
    left = load_mcu("stm32f412zg").stack_bytes - more.stack_bytes
    with pytest.raises(BenchError, match=r"m4: in stage result.*only \d+ bytes"):
        measure(F412, image_for(F412, deep(1000 + left - 40)))


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.id)
def test_a_network_that_touches_what_is_not_there_faults_with_its_address(board: Board) -> None:
    image = image_for(board, "arena[0] = *(const volatile int8_t *)0x50000000u;")
    with pytest.raises(BenchError, match=rf"{board.id}.*stage cold.*faulted.*PC 0x0800"):
        measure(board, image)
    assert measure(board, image_for(board)).status == "ok"


def test_a_stack_that_overflows_never_becomes_a_measurement() -> None:
    with pytest.raises(BenchError, match=r"m4: in stage cold"):
        measure(F412, image_for(F412, deep(9000)), deadline_s=4.0)
    assert measure(F412, image_for(F412)).status == "ok"


def test_a_network_that_never_ends_is_given_up_and_the_board_recovers() -> None:
    image = image_for(F412, 'for (;;) __asm volatile("wfi");')  # asleep: no host time is spent
    started_s = time.monotonic()
    with pytest.raises(BenchError, match=r"m4: in stage cold.*no answer to RUN"):
        measure(F412, image, deadline_s=5.0)
    assert time.monotonic() - started_s < 15.0
    assert measure(F412, image_for(F412)).status == "ok"


def test_another_image_board_type_clock_or_size_is_never_measured() -> None:
    image = image_for(F412)
    mcu = load_mcu("stm32f412zg")
    with pytest.raises(BenchError, match=r"stage banner.*runs image"):
        measure(F412, replace(image, image_sha256="0" * 64))
    renamed = replace(F412, type=replace(F412.type, name="nucleo-x"))
    with pytest.raises(BenchError, match="says it is a nucleo-f412zg"):
        measure(renamed, image)
    for changed, said in (
        (replace(mcu, clock_hz=96_000_000), "not 96000000"),
        (replace(mcu, checks=(replace(mcu.checks[0], value=0x705), *mcu.checks[1:])), "FLASH_ACR"),
        (replace(mcu, checks=mcu.checks[1:]), "reports 3 registers"),
    ):
        with pytest.raises(BenchError, match=said):
            measure_on_board(F412, changed, image, Trial(INPUT, OUTPUT, 3), 30.0)
    with pytest.raises(BenchError, match="301 input and 20 output bytes"):
        measure_on_board(F412, mcu, image, Trial(INPUT + b"\0", OUTPUT, 3), 30.0)


def test_a_deadline_that_passes_names_the_stage() -> None:
    with pytest.raises(BenchError, match=r"m4: in stage connect.*allow more time"):
        measure(F412, image_for(F412), deadline_s=0.001)


def test_noise_on_the_line_does_not_change_a_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = measure(F412, image_for(F412))
    send = Link._send
    count = 0

    def spoilt(self: Link, command: int, request: bytes) -> None:
        nonlocal count
        count += 1
        if count % 3 == 0:
            self._port.write(b"\x55noise\0\0more noise")
        send(self, command, request)

    monkeypatch.setattr(Link, "_send", spoilt)
    noisy = measure(F412, image_for(F412))
    assert (noisy.cycles, noisy.layer_cycles) == (plain.cycles, plain.layer_cycles)
    assert noisy.provenance["console_retries"] > 0


def test_a_daemon_killed_in_mid_measurement_is_an_error_at_once() -> None:
    image = image_for(F767, "for (volatile int i = 0; i < 200000000; ++i) { }")
    pid = rack.find(F767.probe_uid).pid
    mcu = load_mcu("stm32f767zi")
    kill = threading.Timer(0.2, os.kill, [pid, signal.SIGKILL])

    def on_stage(stage: str) -> None:
        if stage == "cold":
            kill.start()

    started_s = time.monotonic()
    with pytest.raises(BenchError, match=r"m7: in stage cold.*console"):
        measure_on_board(F767, mcu, image, Trial(INPUT, OUTPUT, 3), 60.0, on_stage)
    assert time.monotonic() - started_s < 30.0  # of 60
    rack.ensure_up(F767)
    assert measure(F767, image_for(F767)).status == "ok"


def test_a_clock_is_measured_through_counter_wraps_and_jitter() -> None:
    hz, step = 216_000_000, 27_000_000
    jitter = [0.0, 8e-4, -5e-4, 3e-4, 0.0]
    marks = [
        ClockMark((2**32 - 30_000_000 + i * step) % 2**32, 10 + i * step / hz + jitter[i])
        for i in range(5)
    ]
    assert clock_from_marks(marks) == pytest.approx(hz, rel=0.003)


@pytest.mark.parametrize("true_hz", [96_000_000, 50_000_000, 103_000_000])
def test_a_real_board_with_a_wrong_clock_is_refused(true_hz: int) -> None:
    mcu = load_mcu("stm32f412zg")
    real = replace(F412, probe="stlink:123")
    step = spacing_cycles(real, mcu, 0.5)

    def marks(hz: int) -> list[ClockMark]:
        return [ClockMark(i * step, 5 + i * step / hz) for i in range(5)]

    assert checked_clock_hz(real, mcu, marks(100_400_000), step) == pytest.approx(100_400_000)
    with pytest.raises(BenchError, match=rf"m4.*{true_hz // 1_000_000}\.00 MHz"):
        checked_clock_hz(real, mcu, marks(true_hz), step)


def test_a_cycle_counter_that_stands_still_is_refused_on_any_board() -> None:
    mcu = load_mcu("stm32f412zg")
    for board in (F412, replace(F412, probe="stlink:123")):
        with pytest.raises(BenchError, match="stands still"):
            checked_clock_hz(board, mcu, [ClockMark(7, i) for i in range(5)], 2_000)


def test_more_layers_than_a_frame_holds_are_traced_one_by_one() -> None:
    files = dict(toy().files)
    files["model.h"] = files["model.h"].replace("LAYER_COUNT 2", "LAYER_COUNT 130")
    files["model.c"] = files["model.c"].replace(
        "    after(0);\n    sum();\n    after(1);",
        "    sum();\n"
        "    for (uint32_t i = 0; i < 130; ++i) {\n"
        "        for (volatile uint32_t n = 0; n < 10 * i; ++n) { }\n"
        "        after(i);\n"
        "    }",
    )
    layers = tuple(replace(toy().layers[0], index=i) for i in range(130))
    model = replace(toy(), files=files, layers=layers)
    image = build_image(model, load_mcu("stm32f412zg"), F412.type.name)
    cycles = measure(F412, image).layer_cycles
    steps = np.diff(cycles[1:])
    assert len(cycles) == 130
    assert 30 < steps.min() <= steps.max() < steps.min() + 12


def broken(mcu: Mcu, part: str) -> Mcu:
    """The MCU with a step in its clock recipe that waits for what never comes."""
    never = replace(getattr(mcu.clock, part)[-1], do="poll", mask=1 << 30, value=1 << 30)
    return replace(mcu, clock=replace(mcu.clock, **{part: (never,)}))


def test_without_its_external_clock_a_board_runs_from_the_internal_one_and_says_so() -> None:
    mcu = broken(load_mcu("stm32f412zg"), "external")
    image = build_image(toy(), mcu, F412.type.name)
    found = measure_on_board(F412, mcu, image, Trial(INPUT, OUTPUT, 3), 30.0)
    assert found.status == "ok"
    assert found.provenance["clock_source"] == "internal"
    assert found.message == "internal oscillator"
    assert found.cycles == measure(F412, image_for(F412)).cycles


def test_a_board_whose_clock_recipe_fails_still_answers_and_is_not_measured() -> None:
    mcu = broken(load_mcu("stm32f412zg"), "run")
    image = build_image(toy(), mcu, F412.type.name)
    with pytest.raises(BenchError, match=r"m4: in stage banner.* runs at 16000000 Hz"):
        measure_on_board(F412, mcu, image, Trial(INPUT, OUTPUT, 3), 30.0)


def test_an_image_whose_name_has_changed_in_flash_is_told_from_another_one() -> None:
    image = image_for(F412)
    rotten = image.image_sha256[:-2] + ("00" if image.image_sha256[-2:] != "00" else "11")
    assert "its flash has changed" in _other_image(rotten, image)
    assert "is the console wired" in _other_image(image.image_sha256[::-1], image)
