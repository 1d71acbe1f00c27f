"""Every job ends, once, whatever fails around it: displays, databases, boards."""

import threading

import pytest
import scripted
from test_manager import NO_LADDER, make_job, wait_until

from farm import manager as managers
from farm.errors import BenchError, BoardsBusyError, FarmError, NoBoardError
from farm.job import Event
from farm.manager import BoardManager
from farm.rack.inventory import select
from farm.scheduling import rota
from farm.scheduling.crew import Threads

DEADLINE_S = 30.0


@pytest.fixture
def manage(board, rack, scripted_path):
    """A manager of one board, with that display."""
    opened = []

    def make(progress=None, **options) -> BoardManager:
        crew = Threads("scripted:run", NO_LADDER)
        opened.append(BoardManager(rack, [board], progress=progress, runner=crew, **options))
        return opened[-1]

    yield make
    for manager in opened:
        manager.close()


def test_a_job_whose_last_board_is_set_aside_while_it_is_queued_ends_with_the_reason(manage, board):
    def set_aside(event: Event) -> None:
        if event.kind == "queued":
            manager.set_aside(board, "quarantined: smokes")

    manager = manage(set_aside)
    with pytest.raises(NoBoardError, match="f412-01 quarantined: smokes"):
        manager.submit(make_job("ok")).result(DEADLINE_S)


def test_a_job_whose_display_failed_is_measured_for_those_who_ask_later(manage):
    def explode(event: Event) -> None:
        if event.kind == "queued":
            raise ValueError("display")

    manager = manage(explode)
    with pytest.raises(ValueError, match="display"):
        manager.submit(make_job("ok"))
    assert manager.submit(make_job("ok")).result(DEADLINE_S).status == "ok"


def test_a_display_that_fails_at_one_late_job_keeps_no_other_waiting(manage, monkeypatch):
    def explode(event: Event) -> None:
        if event.kind == "failed":
            raise ValueError("display")

    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    manager = manage(explode)
    manager.submit(make_job("hang"))
    wait_until(scripted.runs)
    for names in (("ok-1", "ok-2"), ("ok-3",)):
        for late in [manager.submit(make_job(name), deadline_s=0.1) for name in names]:
            with pytest.raises(BoardsBusyError, match="before its deadline"):
                late.result(DEADLINE_S)


def test_a_lease_database_that_failed_at_the_first_job_keeps_no_later_one_waiting(
    manage, monkeypatch
):
    def locked(_board) -> None:
        raise FarmError("the lease database is locked")

    manager = manage()
    with monkeypatch.context() as patched:
        patched.setattr(rota, "quarantine_reason", locked)
        with pytest.raises(FarmError, match="locked"):
            manager.submit(make_job("ok"))
    assert manager.submit(make_job("ok")).result(DEADLINE_S).status == "ok"


def test_a_lease_database_that_fails_keeps_no_board_in_service_from_a_job(
    rack, scripted_path, monkeypatch, caplog
):
    def locked(_board) -> None:
        raise FarmError("the lease database is locked")

    boards = select(rack, "type=nucleo-f412zg")
    crew = Threads("scripted:run", NO_LADDER)
    with BoardManager(rack, boards, runner=crew) as manager:
        assert manager.submit(make_job("ok")).result(DEADLINE_S).status == "ok"
        manager.set_aside(boards[0], "quarantined: smokes")
        monkeypatch.setattr(rota, "_LOOK_AGAIN_S", 0.0)
        monkeypatch.setattr(rota, "quarantine_reason", locked)
        assert manager.submit(make_job("ok-2")).result(DEADLINE_S).board == boards[1].id
    assert "is not known: the lease database is locked" in caplog.text


def test_a_job_whose_result_comes_between_look_and_queue_is_not_measured_again(manage, monkeypatch):
    manager, given, looks = manage(), managers.answer, []

    def answer(*args, **options):
        found = given(*args, **options)
        looks.append(found)
        if len(looks) == 1:
            assert manager.submit(make_job("ok")).result(DEADLINE_S).source == "measured"
        return found

    monkeypatch.setattr(managers, "answer", answer)
    assert manager.submit(make_job("ok")).result(DEADLINE_S).source == "stored"
    assert len(scripted.runs()) == 1


def test_a_deadline_in_a_thousand_years_ends_no_alarm(manage, monkeypatch):
    failed = []
    monkeypatch.setattr(threading, "excepthook", failed.append)
    manager = manage()
    manager.submit(make_job("hang"))
    wait_until(scripted.runs)
    patient = manager.submit(make_job("ok"), deadline_s=3e10)
    with pytest.raises(BoardsBusyError, match="before its deadline"):
        manager.submit(make_job("ok-2"), deadline_s=0.1).result(DEADLINE_S)
    assert (patient.done(), failed) == (False, [])


def test_a_deadline_cuts_no_attempt_short_and_takes_none_from_a_job_with_an_id(manage):
    def expire(event: Event) -> None:
        if event.kind == "started" and not left_s:
            (ticket,) = manager._open
            ticket.expires_s = manager._crew.now_s()
            left_s.append(manager.deadline_s(ticket))

    manager, left_s = manage(expire, retries=1, job_deadline_s=20.0), []
    job = make_job("benchonce", id="mine")
    with pytest.raises(BenchError, match="failure 1"):
        manager.submit(job, deadline_s=DEADLINE_S).result(DEADLINE_S)
    assert left_s == [20.0]
    assert manager.submit(job).result(DEADLINE_S).provenance["attempt"] == 2
