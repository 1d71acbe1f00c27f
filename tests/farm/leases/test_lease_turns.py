"""Leases in odd company: places in line that are kept, forked children, rows that stay behind."""

import os
import signal
import time
from dataclasses import replace

import pytest

from farm.errors import BoardsBusyError, FarmError
from farm.leases import lease as leases
from farm.leases import lock_files
from farm.leases.lease_rows import Rows


def test_who_comes_back_with_its_turn_stands_where_it_stood(board):
    turn = leases.Turn()
    with leases.lease(board, 0.1):
        with pytest.raises(BoardsBusyError), leases.lease(board, 0.0, turn=turn):
            pass
        with pytest.raises(BoardsBusyError), leases.lease(board, 0.0, turn=leases.Turn()):
            pass
        first, second = leases.waiters(board)
        with pytest.raises(BoardsBusyError), leases.lease(board, 0.0, turn=turn):
            pass
        assert [waiter.request.number for waiter in leases.waiters(board)] == [
            turn.number, second.request.number
        ]  # fmt: skip
        assert turn.number == first.request.number
    with pytest.raises(BoardsBusyError, match="kept for others"), leases.lease(board, 0.0):
        pass
    with leases.lease(board, 0.0, turn=turn):
        assert turn.number == 0


def test_who_steps_out_leaves_the_board_to_the_next(board):
    turn = leases.Turn()
    with (
        leases.lease(board, 0.1),
        pytest.raises(BoardsBusyError),
        leases.lease(board, 0.0, turn=turn),
    ):
        pass
    leases.step_out(board, turn)
    with leases.lease(board, 0.0):
        assert leases.waiters(board) == []


def test_a_forked_child_does_not_keep_the_board(board):
    with leases.lease(board, 0.1):
        child = os.fork()
        if not child:
            time.sleep(60)
            os._exit(0)
        time.sleep(0.05)  # for the child to run
    try:
        with leases.lease(board, 0.5) as again:
            assert again.token
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_a_forked_child_that_leaves_the_lease_does_not_end_it(board):
    mine, child = os.getpid(), 0
    try:
        with leases.lease(board, 0.1) as held:
            child = os.fork()
            if not child:
                raise KeyboardInterrupt
            assert os.waitpid(child, 0)[1] == 0
            held.check()
            assert leases.holder(board).pid == mine
            with pytest.raises(BoardsBusyError), leases.lease(board, 0.0):
                pass
    finally:
        if os.getpid() != mine:
            os._exit(0)


def test_a_row_that_cannot_be_taken_away_hides_neither_result_nor_error(board, monkeypatch):
    def full(*_):
        raise FarmError("the disk is full")

    monkeypatch.setattr(Rows, "clear", full)
    monkeypatch.setattr(Rows, "leave", full)
    with pytest.raises(ZeroDivisionError), leases.lease(board, 0.1):
        raise ZeroDivisionError
    assert leases.holder(board) is None


def test_a_database_of_all_users_that_is_a_link_is_one_clear_error(rack, tmp_path, monkeypatch):
    monkeypatch.setattr(lock_files, "HOST_FOLDER", tmp_path / "host")
    (tmp_path / "host").mkdir()
    (tmp_path / "host" / "leases.db").symlink_to(tmp_path / "else.db")
    real = replace(rack.boards[0], probe="stlink:0670FF")
    with pytest.raises(FarmError, match="if it is a link"), leases.lease(real, 0.1):
        pass
    assert not (tmp_path / "else.db").exists()


def test_a_lock_file_in_use_does_not_look_forgotten(board):
    path = lock_files.place_of(board).lock_path("tr-f412-01")
    with leases.lease(board, 0.1):
        os.utime(path, (1, 1))
    with leases.lease(board, 0.1):
        assert path.stat().st_mtime > 1
