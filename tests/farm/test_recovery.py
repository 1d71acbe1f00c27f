"""Each rung of the ladder on a virtual board that needs it, and switches that do not work."""

import os
import sys
from dataclasses import replace

import pytest

from farm import lease, power, usb_reset
from farm.board import Board, BoardType, PowerSpec
from farm.errors import BenchError
from farm.mcus import load_mcu
from farm.probe import open_probe
from farm.recovery import RUNGS, slower
from farm.virtual import rack

F412 = Board("rung-1", BoardType("nucleo-f412zg", "stm32f412zg", "stm32f412xg"), "virtual:TR-RUNG")
REAL = replace(F412, probe="stlink:0670FF")


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
        with open_probe(rung.lasting(board), load_mcu(board.type.mcu)) as probe:
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


def test_a_slow_debug_clock_lasts_and_is_never_faster():
    assert slower(REAL).swd_hz == 400_000
    assert slower(replace(REAL, swd_hz=50_000)).swd_hz == 50_000


def test_power_that_nothing_switches_is_one_clear_error():
    with pytest.raises(BenchError, match="rung-1: nothing switches its power; add `power:`"):
        power.cycle(REAL)


def test_power_is_cut_and_given_back_by_the_programs_of_the_lab(tmp_path, monkeypatch):
    monkeypatch.setattr(power, "OFF_S", 0.0)
    log = tmp_path / "log"
    write = f"import sys; open({str(log)!r}, 'a').write(sys.argv[1])"
    spec = PowerSpec(*("", 0), *((sys.executable, "-c", write, word) for word in ("off", "on")))
    assert power.cycle(replace(REAL, power=spec)).endswith("on")
    assert log.read_text() == "offon"


def test_a_power_switch_that_fails_says_what_it_said(monkeypatch):
    monkeypatch.setattr(power, "OFF_S", 0.0)
    program = (sys.executable, "-c", "import sys; sys.exit('no such outlet')")
    with pytest.raises(BenchError, match=r"failed \(1\): no such outlet"):
        power.cycle(replace(REAL, power=PowerSpec(off=program, on=program)))
    absent = PowerSpec(off=("/no/such/program",), on=("x",))
    with pytest.raises(BenchError, match="its power switch `/no/such/program` failed"):
        power.cycle(replace(REAL, power=absent))


def test_a_probe_that_is_not_plugged_in_cannot_be_reset():
    with pytest.raises(BenchError, match="0 USB devices have its probe's number"):
        usb_reset.reset(REAL)
