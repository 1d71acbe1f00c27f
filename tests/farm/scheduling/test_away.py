"""Boards that are not there, or not to be driven from here: no ladder, no quarantine, no end."""

import pytest
import scripted
from test_manager import make_job

from farm import board_worker
from farm.board_worker import BoardWorker
from farm.errors import AwayError, BoardsBusyError, FarmError, InventoryError, ProbeMissingError
from farm.leases import lease
from farm.manager import BoardManager
from farm.rack.inventory import select
from farm.scheduling import driver
from farm.scheduling.away import Absence, Away
from farm.scheduling.crew import Threads
from farm.scheduling.schedule import Schedule
from farm.scheduling.tickets import Ticket

DEADLINE_S = 60.0


@pytest.fixture
def manage(rack, scripted_path, monkeypatch):
    """A manager with a ladder, over some boards, that looks again at once."""
    monkeypatch.setattr("farm.scheduling.away._LEAST_PAUSE_S", 0.01)
    opened = []

    def make(selector, **options):
        crew = Threads("scripted:run", "scripted_ladder:LADDER")
        opened.append(BoardManager(rack, select(rack, selector), runner=crew, **options))
        return opened[-1]

    yield make
    for manager in opened:
        manager.close()


def test_a_board_without_its_probe_climbs_nothing_and_ends_its_job_with_the_reason(manage, board):
    manager = manage("f412-01", retries=0)
    with pytest.raises(ProbeMissingError, match="f412-01: no probe is connected"):
        manager.submit(make_job("missing")).result(DEADLINE_S)
    assert manager.store.recoveries() == []
    assert lease.quarantine_reason(board) is None
    assert manager.aside() == {"f412-01": "f412-01: no probe is connected"}
    assert manager.submit(make_job("ok")).result(DEADLINE_S).provenance["attempt"] == 1
    assert manager.aside() == {}


def test_a_probe_that_comes_back_costs_its_job_no_attempt(manage):
    m = manage("f412-01", retries=0).submit(make_job("missingonce")).result(DEADLINE_S)
    assert m.provenance["attempt"] == 1


def test_a_lease_database_that_fails_in_mid_job_costs_it_no_attempt(manage):
    m = manage("f412-01", retries=0).submit(make_job("lockedonce")).result(DEADLINE_S)
    assert m.provenance["attempt"] == 1


def test_workers_that_cannot_even_start_put_no_board_out_of_service(rack, board, monkeypatch):
    monkeypatch.setattr("farm.scheduling.away.AWAY_S", 0.0)
    crew = Threads("no_such_module:run", "scripted_ladder:LADDER")
    with (
        BoardManager(rack, [board], runner=crew) as manager,
        pytest.raises(AwayError, match=r"ended \(exit code 1\); .*no_such_module"),
    ):
        manager.submit(make_job("ok")).result(DEADLINE_S)
    assert lease.quarantine_reason(board) is None


def test_the_job_of_a_board_without_its_probe_goes_to_another(manage):
    m = manage("type=nucleo-f412zg", retries=0).submit(make_job("missingonce")).result(DEADLINE_S)
    (first, again) = scripted.runs()
    assert (m.board, m.provenance["attempt"]) == (again[1], 1)
    assert first[1] != again[1]


def test_a_lease_that_cannot_be_had_for_a_moment_is_asked_for_again(manage, monkeypatch, caplog):
    given, asked = BoardWorker.hold, []

    def hold(worker, wait_s, priority=0):
        asked.append(wait_s)
        if len(asked) < 3:
            raise FarmError("the lease database is full")
        return given(worker, wait_s, priority)

    monkeypatch.setattr(board_worker.BoardWorker, "hold", hold)
    assert manage("f412-01").submit(make_job("ok")).result(DEADLINE_S).status == "ok"
    told = [r for r in caplog.records if r.name == driver.__name__ and "database" in r.message]
    assert len(told) == 1


def test_what_is_told_of_boards_that_are_all_away_is_of_the_kind_that_they_share(rack):
    schedule: Schedule[Ticket] = Schedule(("m4-a", "m4-b"), lambda: 0.0)
    ticket = Ticket(job=make_job("net"), key=("",) * 4, group=schedule.group(("m4-a", "m4-b")))
    away = Away()
    assert away.note("m4-a", ProbeMissingError("no probe", "m4-a"))
    assert away.patience_s(ticket.group) == float("inf")
    assert not away.note("m4-a", ProbeMissingError("no probe", "m4-a"))
    away.note("m4-b", ProbeMissingError("no probe", "m4-b"))
    assert away.patience_s(ticket.group) == 10.0
    error = away.error(ticket)
    assert (type(error), str(error)) == (ProbeMissingError, "net: m4-a: no probe; m4-b: no probe")
    away.note("m4-b", BoardsBusyError("m4-b is held"))
    assert (away.patience_s(ticket.group), away.error(ticket).exit_code) == (float("inf"), 75)
    away.held("m4-b")
    assert away.reasons() == {"m4-a": "m4-a: no probe"}
    for name in ("m4-a", "m4-b"):
        away.note(name, InventoryError("another chip"))
    assert away.patience_s(ticket.group) == 0.0


def test_pauses_between_looks_grow_to_a_bound_and_begin_anew():
    absence = Absence()
    assert absence.begins(FarmError("x"))
    assert not absence.begins(FarmError("x"))
    pauses = [absence.pause_s() for _ in range(9)]
    assert pauses == sorted(pauses)
    assert pauses[-1] == 5.0
    assert (absence.over(), absence.over(), absence.pause_s()) == (True, False, pauses[0])
