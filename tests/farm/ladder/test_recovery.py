"""Each rung of the ladder on a virtual board that needs it, and switches that do not work."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import timedelta

import pytest

from farm.errors import BenchError
from farm.ladder import power, slow_wires, usb_reset
from farm.ladder.recovery import RUNGS
from farm.ladder.slow_wires import slower
from farm.leases import lease
from farm.mcus import load_mcu
from farm.probe import open_probe
from farm.rack.board import Board, BoardType, PowerSpec, board_to_json
from farm.virtual import rack

DEADLINE_S = 30.0

F412 = Board("rung-1", BoardType("nucleo-f412zg", "stm32f412zg", "stm32f412xg"), "virtual:TR-RUNG")
REAL = replace(F412, probe="stlink:0670FF")


def wait_until(condition) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture(scope="module")
def folders(tmp_path_factory, shared_cache):
    made = {"XDG_STATE_HOME": str(tmp_path_factory.mktemp("state"))}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(shared_cache))
        for name, folder in made.items():
            patch.setenv(name, folder)
        rack.up([F412])
        yield made
        rack.down([F412.probe_uid])


@pytest.fixture
def board(folders, monkeypatch):
    for name, folder in folders.items():
        monkeypatch.setenv(name, folder)
    return F412


@pytest.mark.parametrize("rung", RUNGS, ids=lambda rung: rung.name)
def test_every_rung_can_be_climbed_and_leaves_a_board_that_connects(board, rung):
    with lease.lease(board, 1.0):
        assert rung.act(board, rung.deadline_s)
        with open_probe(board, load_mcu(board.type.mcu)) as probe:
            probe.reset_and_halt()


def test_a_mass_erase_leaves_nothing(board):
    with open_probe(board, load_mcu(board.type.mcu)) as probe:
        probe.mass_erase()
        assert probe.read(0x0800_0000, 64) == b"\xff" * 64


def test_a_dead_daemon_comes_back_by_a_reset_of_its_usb(board):
    found = rack.find(board.probe_uid)
    os.kill(found.pid, 9)
    with pytest.raises(BenchError):
        RUNGS[0].act(board, 5.0)
    assert usb_reset.reset(board)
    assert rack.find(board.probe_uid).alive


def test_a_slow_debug_clock_is_kept_for_hours_and_is_never_faster(private_dirs, monkeypatch):
    assert slower(F412).swd_hz == 400_000
    assert slower(replace(F412, swd_hz=50_000)).swd_hz == 50_000
    assert slow_wires.as_used(F412) == F412
    slow_wires.keep_slow(F412)
    assert slow_wires.as_used(F412) == slower(F412)
    monkeypatch.setattr(slow_wires, "KEPT", timedelta(seconds=0))
    assert slow_wires.as_used(F412) == F412
    monkeypatch.setattr(slow_wires, "KEPT", timedelta(hours=1))
    slow_wires.full_speed(F412)
    assert slow_wires.slow_until(F412) is None


def test_power_that_nothing_switches_is_one_clear_error():
    with pytest.raises(BenchError, match="rung-1: nothing switches its power; add `power:`"):
        power.cycle(REAL)


@pytest.fixture
def outlet(tmp_path, monkeypatch):
    """A board whose power programs of the lab switch, and the log of what they did."""
    monkeypatch.setattr(power, "OFF_S", 0.0)
    log = tmp_path / "log"
    log.touch()
    write = 'printf %s "$1" >> "$0"'
    spec = PowerSpec("", 0, *(("/bin/sh", "-c", write, str(log), word) for word in ("off", "on")))
    return replace(F412, power=spec), log


def test_power_is_cut_and_given_back_by_the_programs_of_the_lab(outlet):
    board, log = outlet
    assert power.cycle(board).endswith("on")
    assert log.read_text() == "offon"
    power.switched_on(board)
    assert log.read_text() == "offon"


CUTTER = """
import json, sys
from farm.ladder import power
from farm.rack.board import board_from_json
power.OFF_S = 0.5
power.cycle(board_from_json(json.loads(sys.argv[1])))
"""


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGTERM])
def test_power_comes_back_when_whoever_cut_it_is_ended(outlet, blow):
    board, log = outlet
    command = [sys.executable, "-c", CUTTER, json.dumps(board_to_json(board))]
    cutter = subprocess.Popen(command, start_new_session=True)
    wait_until(log.read_text)
    os.killpg(cutter.pid, blow)
    assert cutter.wait(DEADLINE_S) == -blow
    power.switched_on(board)  # as whoever opens the probe next: it waits
    assert log.read_text() == "offon"


def test_power_that_nobody_gave_back_is_switched_on_by_whoever_comes_next(outlet):
    board, log = outlet
    power.cycle(board)
    (file,) = log.parent.rglob("*.power.lock")
    file.write_text("off")  # as when even the process that gives it back was killed
    power.switched_on(board)
    assert (log.read_text(), file.read_text()) == ("offonon", "")


def test_a_power_switch_that_fails_says_what_it_said(outlet):
    board, _ = outlet
    program = ("/bin/sh", "-c", "echo no such outlet; exit 1")
    with pytest.raises(BenchError, match=r"failed \(1\): no such outlet"):
        power.cycle(replace(board, power=PowerSpec(off=program, on=program)))
    absent = replace(board, power=PowerSpec(off=("/no/such/program",), on=("x",)))
    with pytest.raises(BenchError, match="its power switch `/no/such/program` failed"):
        power.cycle(absent)
    with pytest.raises(BenchError, match="its power switch `x` failed"):
        power.switched_on(absent)


def test_a_probe_that_is_not_plugged_in_cannot_be_reset():
    with pytest.raises(BenchError, match="0 USB devices have its probe's number"):
        usb_reset.reset(REAL)
