from __future__ import annotations

import io
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pyocd.core import exceptions
from pyocd.core.helpers import ConnectHelper
from pyocd.core.session import Session
from pyocd.core.target import Target
from pyocd.flash.file_programmer import FileProgrammer

from farm.rack.inventory import Board
from farm.virtual import rack
from farm.virtual.probe import VirtualProbe

FLASH, RAM = 0x0800_0000, 0x2000_0000
LOOP = FLASH + 0xC
# A core left running between tests costs a host core until the next one: its firmware never sleeps.
OPTIONS = {
    "reset.post_delay": 0.0,
    "hide_programming_progress": True,
    "resume_on_disconnect": False,
}


@pytest.fixture(scope="module", autouse=True)
def own_state(own_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The board stays up from test to test, unless one ends it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(own_cache))
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield
        rack.down()


@contextmanager
def session_on(board: Board, **options: Any) -> Iterator[Session]:
    rack.ensure_up(board)
    session = ConnectHelper.session_with_chosen_probe(
        unique_id=board.probe, blocking=False, options={**OPTIONS, **options}
    )
    assert session is not None
    with session:
        yield session


def flash(session: Session, image: bytes) -> None:
    session.target.reset_and_halt()
    programmer = FileProgrammer(session)
    programmer.program(io.BytesIO(image), file_format="bin", base_address=FLASH)


@pytest.fixture(params=["f412", "f767"])
def board(request: pytest.FixtureRequest) -> Iterator[Board]:
    chosen = request.getfixturevalue(request.param)
    assert isinstance(chosen, Board)
    yield chosen
    rack.down([chosen.probe_uid])


def test_pyocd_flashes_runs_stops_and_steps(board: Board, count_firmware: bytes) -> None:
    image = count_firmware + bytes(range(256)) * 80
    with session_on(board) as session:
        target = session.target
        assert session.board.target_type == board.type.target
        flash(session, image)
        assert bytes(target.read_memory_block8(FLASH, len(image))) == image
        target.write32(RAM, 0)
        target.reset_and_halt()
        assert target.read_core_register("pc") == FLASH + 8
        target.set_breakpoint(LOOP)
        target.resume()
        deadline = time.monotonic() + 30.0
        while target.get_state() is not Target.State.HALTED:
            assert time.monotonic() < deadline
        assert target.read_core_register("pc") == LOOP
        target.remove_breakpoint(LOOP)
        before = target.read32(RAM)
        target.step()
        assert target.read_core_register("pc") == LOOP + 2
        target.resume()
        assert target.read32(RAM) != before  # memory is readable while the core runs
        target.halt()
        assert target.get_state() is Target.State.HALTED


def test_flash_survives_a_power_cut_of_the_whole_daemon(f412: Board, count_firmware: bytes) -> None:
    with session_on(f412) as session:
        flash(session, count_firmware)
    rack.down()
    with session_on(f412) as session:
        assert bytes(session.target.read_memory_block8(FLASH, 20)) == count_firmware


def test_access_port_and_accelerated_memory_agree(f412: Board) -> None:
    with session_on(f412) as session:
        ap = session.target.aps[0]
        words = [n * 0x0002_0003 for n in range(1500)]  # crosses the 4 KiB wrap of TAR
        session.target.write_memory_block32(RAM + 0x100, words)
        assert ap._read_memory_block32(RAM + 0x100, len(words)) == words
        ap._write_memory_block32(RAM + 0x104, words)
        assert session.target.read_memory_block32(RAM + 0x104, len(words)) == words
        for address, size in ((RAM + 1, 8), (RAM + 2, 16), (RAM + 4, 32)):
            session.target.write_memory(address, 0x5A5A_5A5A & (1 << size) - 1, size)
            assert ap._read_memory(address, size) == 0x5A5A_5A5A & (1 << size) - 1
        with pytest.raises(exceptions.TransferFaultError):
            ap._read_memory(0x6000_0000, 32)
        assert ap._read_memory(RAM + 4, 32) == 0x5A5A_5A5A  # the sticky error is gone again


def test_bad_address_is_a_transfer_fault_and_the_session_goes_on(f412: Board) -> None:
    with session_on(f412) as session:
        with pytest.raises(exceptions.TransferFaultError) as raised:
            session.target.read32(0x6000_0000)
        assert raised.value.fault_address == 0x6000_0000
        assert session.target.read32(0xE000_ED00) == 0x410F_C241


def test_second_debugger_is_refused_by_name_and_free_to_come_later(f412: Board) -> None:
    with session_on(f412):
        other = VirtualProbe.get_probe_with_id(f412.probe_uid)
        assert other is not None
        with pytest.raises(exceptions.ProbeError, match=f"process {os.getpid()} is using"):
            other.open()
        assert not other.is_open
    other.open()
    other.close()


def test_killed_daemon_is_a_lost_probe_at_once(f412: Board) -> None:
    with session_on(f412) as session:
        found = rack.find(f412.probe_uid)
        assert found is not None
        os.kill(found.pid, signal.SIGKILL)
        with pytest.raises(exceptions.ProbeDisconnected):
            session.target.read32(RAM)
        session.options["resume_on_disconnect"] = False
    gone = rack.find(f412.probe_uid)
    assert gone is not None
    assert not gone.alive
    assert VirtualProbe.get_all_connected_probes() == []


def test_reset_line_holds_the_core_and_is_let_go_by_a_probe_that_leaves(
    f412: Board, count_firmware: bytes
) -> None:
    with session_on(f412) as session:
        flash(session, count_firmware)
        session.target.reset_and_halt()
        session.target.resume()
        before = session.target.read32(RAM)
        assert session.target.read32(RAM) != before
        session.probe.assert_reset(True)
        assert session.probe.is_reset_asserted()
        held = session.target.read32(RAM)
        assert session.target.read32(RAM) == held
    with session_on(f412, connect_mode="attach") as session:
        assert not session.probe.is_reset_asserted()
        assert session.target.get_state() is Target.State.RUNNING
