"""The worker process: plain messages, one board, ends with its manager."""

import os
import signal
from dataclasses import replace

import pytest
import scripted
from hypothesis import given, settings
from hypothesis import strategies as st
from test_manager import alive, make_job, wait_until

from farm import wire
from farm.board_worker import BoardWorker
from farm.errors import AwayError, BenchError, BoardsBusyError, NoBoardError
from farm.job import job_from_message, job_to_message
from farm.leases import lease as leases
from farm.leases import lease_rows
from farm.rack.board import board_from_json, board_to_json
from farm.rack.inventory import Board, BoardType, SerialSpec


@pytest.fixture
def worker(board, scripted_path):
    started = BoardWorker(board, "scripted:run")
    yield started
    started.close()


def quiet(_: str) -> None:
    """No interest in stages."""


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.dictionaries(st.text(max_size=8), st.none() | st.text() | st.floats(0, 1)),
            st.binary(max_size=5000),
        ),
        max_size=5,
    )
)
def test_messages_arrive_whole_and_in_order(messages):
    read_end, write_end = os.pipe()
    try:
        for header, blob in messages:
            wire.send(write_end, header, blob)
        receiver = wire.Receiver(read_end)
        assert [receiver.receive(1.0) for _ in messages] == messages
        with pytest.raises(wire.PeerSilentError):
            receiver.receive(0.0)
    finally:
        os.close(read_end)
        os.close(write_end)


def test_a_reader_that_stopped_does_not_block_the_sender():
    read_end, write_end = os.pipe()
    with pytest.raises(wire.PeerSilentError):
        wire.send(write_end, {}, bytes(1 << 20), timeout_s=0.05)
    os.close(read_end)
    with pytest.raises(wire.PeerGoneError):
        wire.send(write_end, {}, b"")
    os.close(write_end)


@pytest.mark.parametrize(
    "data",
    [b"\xff" * 8, b"\x02\x00\x00\x00\x00\x00\x00\x00[]", b"\x01\x00\x00\x00\x00\x00\x00\x00{"],
)
def test_garbage_on_the_pipe_ends_the_conversation(data):
    read_end, write_end = os.pipe()
    os.write(write_end, data)
    os.close(write_end)
    with pytest.raises(wire.PeerGoneError):
        wire.Receiver(read_end).receive(1.0)
    os.close(read_end)


def test_a_job_and_a_board_survive_the_pipe(board):
    job = make_job("ok")
    again = job_from_message(*job_to_message(job))
    assert (again.name, again.input, again.expected) == (job.name, job.input, job.expected)
    assert again.model == job.model
    more = replace(job, further=((job.input, job.expected),) * 2)
    again = job_from_message(*job_to_message(more))
    assert (again.further, again.input_sha256) == (more.further, more.input_sha256)
    assert again.input_sha256 != job.input_sha256
    tagged = Board(
        "x", BoardType("t", "m", "g"), "stlink:1", SerialSpec("path", "/dev/x"), {"a": "b"}
    )
    for each in (board, tagged):
        assert board_from_json(board_to_json(each)) == each


def test_a_job_of_the_wrong_size_is_refused():
    with pytest.raises(ValueError, match="input has 3 bytes, the model 4"):
        make_job("ok", input=b"abc")
    with pytest.raises(ValueError, match="repeats is 0"):
        make_job("ok", repeats=0)


def test_stages_and_the_result_come_back(worker):
    stages = []
    worker.hold(5.0)
    m = worker.measure(make_job("ok"), 10.0, stages.append)
    assert (stages, m.status, m.provenance["pid"]) == (["flash"], "ok", worker.pid)


def test_prints_of_libraries_go_to_the_log(worker):
    worker.hold(5.0)
    with pytest.raises(BenchError):
        worker.measure(make_job("crash"), 10.0, quiet)
    assert "noise on standard output" in worker.log.read_text()


def test_a_busy_board_and_a_quarantined_one_are_told_apart(worker, board):
    with leases.lease(board, 1.0), pytest.raises(BoardsBusyError):
        worker.hold(0.1)
    leases.quarantine(board, "smokes")
    with pytest.raises(NoBoardError, match="smokes"):
        worker.hold(0.1)


def test_silence_past_the_deadline_is_a_bench_error(worker):
    worker.hold(5.0)
    with pytest.raises(BenchError, match="within the deadline"):
        worker.measure(make_job("hang"), 0.3, quiet)


def test_death_is_a_bench_error_that_names_the_signal(worker):
    worker.hold(5.0)
    with pytest.raises(BenchError, match=f"process {worker.pid}, ended \\(by SIGKILL\\)"):
        worker.measure(make_job("die"), 10.0, quiet)


def test_a_kill_from_outside_frees_the_board_at_once(worker, board):
    worker.hold(5.0)
    os.kill(worker.pid, signal.SIGKILL)
    with leases.lease(board, lease_rows.TTL_S / 2) as held:  # long before it could expire
        assert held.board == board


def test_the_end_of_the_pipe_ends_the_worker(worker):
    worker.hold(5.0)
    worker._stdin.close()
    wait_until(lambda: not alive(worker.pid), 2.0)


def test_a_board_that_somebody_took_before_the_job_is_away_and_not_failing(worker, board):
    with leases.lease(board, 1.0), pytest.raises(AwayError, match="f412-01 is held by process"):
        worker.measure(make_job("ok"), 10.0, quiet)
    leases.quarantine(board, "smokes")
    with pytest.raises(AwayError, match="smokes"):
        worker.measure(make_job("ok"), 10.0, quiet)
    assert scripted.runs() == []


def test_a_job_without_a_hold_takes_the_lease_itself(worker):
    assert worker.measure(make_job("ok"), 10.0, quiet).status == "ok"
    assert scripted.runs()[0][2] == worker.pid
