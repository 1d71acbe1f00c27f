"""The manager: all boards at once, bounded retries, nothing lost, nothing held after death."""

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
import scripted

from engine.cmodel import CModel, Layer
from farm.errors import (
    BenchError,
    BoardsBusyError,
    FarmError,
    ImageError,
    InventoryError,
    NoBoardError,
)
from farm.leases import lease as leases
from farm.leases.fencing import Fence
from farm.manager import BoardManager, Job
from farm.rack.inventory import load_rack, normal_uid, select
from farm.scheduling.crew import Threads
from farm.store import Store

NO_LADDER = "farm.ladder.recovery:NO_RUNGS"
F412, F767 = "nucleo-f412zg", "nucleo-f767zi"


def make_job(name: str, board_type: str = F412, **changes) -> Job:
    """A job whose model differs by name, so that its image does too."""
    layer = Layer(0, "l", "add", "add_s8", (1, 1, 4), (1, 1, 4), 8, {"n": 4.0})
    model = CModel(
        name=name,
        files={"model.c": f"/* {name} */", "model.h": ""},
        arena_bytes=64,
        const_bytes=0,
        layers=(layer,),
        sha256=name.encode().hex(),
        input_shapes=((1, 1, 3), (1, 1, 1)),
        output_shapes=((1, 1, 4),),
        input_names=("a", "b"),
        output_names=("y",),
    )
    return Job(name, model, board_type, **({"input": b"abcd", "expected": b"dcba"} | changes))


@pytest.fixture
def manage(rack, scripted_path):
    """Open managers over the rack with the scripted runner; closed at the end."""
    opened = []

    def make(selector="all", ladder=NO_LADDER, **options):
        events = []
        boards = select(rack, selector)
        crew = Threads("scripted:run", ladder)
        manager = BoardManager(rack, boards, progress=events.append, runner=crew, **options)
        manager.events = events
        opened.append(manager)
        return manager

    yield make
    for manager in opened:
        manager.close()


def test_results_come_back_in_job_order_from_all_boards_at_once(manage):
    jobs = [make_job(f"slow-{i}", F412 if i % 2 else F767) for i in range(12)]
    results = manage().measure(jobs)
    assert [m.name for m in results] == [job.name for job in jobs]
    assert [m.board_type for m in results] == [job.board_type for job in jobs]
    assert {board for _, board, _ in scripted.runs()} == {
        "f412-01",
        "f412-02",
        "f767-01",
        "f767-02",
    }
    assert len({pid for _, _, pid in scripted.runs()}) == 4  # one process a board, reused


def test_a_result_is_completed_and_stored_before_it_is_handed_out(manage):
    manager = manage("f412-01")
    future = manager.submit(make_job("ok"))
    rows = []
    future.add_done_callback(lambda _: rows.extend(manager.store.all()))
    m = future.result(30)
    assert (m.macs, m.arena_bytes, m.cycles_per_mac, m.source) == (8, 64, 125.0, "measured")
    assert m.provenance["lease_token"] >= 1
    wait_until(lambda: [row.name for row in rows] == ["ok"])


def test_nothing_is_measured_twice_unless_asked(manage):
    manager = manage("f412-01")
    first = manager.measure([make_job("ok")])[0]
    again = manager.measure([make_job("ok")])[0]
    assert (again.source, again.cycles) == ("stored", first.cycles)
    assert manager.measure([make_job("ok")], again=True)[0].source == "measured"
    assert len(scripted.runs()) == 2


def test_equal_jobs_in_flight_are_measured_once(manage):
    results = manage("f412-01,f412-02").measure([make_job("slow")] * 5)
    assert len(results) == 5
    assert len(scripted.runs()) == 1


def test_wrong_output_and_too_big_are_results_not_retried(manage):
    wrong, too_big = manage("f412-01").measure([make_job("wrong"), make_job("toobig")])
    assert (wrong.status, wrong.output_ok, wrong.cycles) == ("wrong_output", False, 0)
    assert (too_big.status, too_big.message) == ("too_big", "does not fit")
    assert len(scripted.runs()) == 2


def test_a_bench_failure_is_retried_on_the_other_board(manage):
    manager = manage("type=nucleo-f412zg")
    assert manager.measure([make_job("benchonce")])[0].status == "ok"
    (_, first, _), (_, second, _) = scripted.runs()
    assert first != second
    assert [e.kind for e in manager.events] == ["queued", "started", "stage", "retried", *LAST]


LAST = ["started", "stage", "done"]


@pytest.mark.parametrize("name", ["bench", "die", "crash", "liar"])
def test_retries_have_a_count_and_every_failure_is_stored(manage, name):
    manager = manage("f412-01", retries=1)
    with pytest.raises(BenchError, match="f412-01"):
        manager.measure([make_job(name)])
    assert len(scripted.runs()) == 2
    assert [m.status for m in manager.store.all()] == ["bench_failure"] * 2


def test_a_crash_of_the_worker_is_quoted(manage):
    with pytest.raises(BenchError, match="RuntimeError: scripted crash"):
        manage("f412-01", retries=0).measure([make_job("crash")])


def test_a_killed_worker_costs_a_retry(manage):
    m = manage("f412-01").measure([make_job("dieonce")])[0]
    assert (m.status, m.provenance["attempt"]) == ("ok", 2)


def test_a_hung_job_is_killed_at_its_deadline_and_retried(manage):
    started = time.monotonic()
    m = manage("f412-01", job_deadline_s=1.0).measure([make_job("hangonce")])[0]
    assert m.status == "ok"
    assert time.monotonic() - started < 15.0


@pytest.mark.parametrize(("name", "error"), [("toolchain", ImageError), ("gone", NoBoardError)])
def test_what_can_never_work_is_not_retried(manage, name, error):
    manager = manage("f412-01")
    with pytest.raises(error):
        manager.measure([make_job(name)])
    assert len(scripted.runs()) == 1
    assert manager.measure([make_job("ok")])[0].status == "ok"


def test_a_board_that_keeps_failing_is_set_aside(manage):
    manager = manage("f412-01", retries=9)
    with pytest.raises(BenchError, match="no nucleo-f412zg board is left in service"):
        manager.measure([make_job("bench")])
    assert len(scripted.runs()) == 3
    with pytest.raises(BenchError, match="failed 3 times"):
        manager.submit(make_job("ok"))


def test_boards_held_by_others_end_in_busy(manage, board):
    with leases.lease(board, 1.0), pytest.raises(BoardsBusyError, match="f412-01 is held by"):
        manage("f412-01", wait_s=0.5).measure([make_job("ok")])


def test_a_board_held_by_others_does_not_keep_its_sibling_from_working(manage, board):
    with leases.lease(board, 1.0):
        results = manage("type=nucleo-f412zg", wait_s=0.5).measure(
            [make_job("slow-a"), make_job("slow-b"), make_job("slow-c"), make_job("slow-d")]
        )
    assert {m.board for m in results} == {"f412-02"}


def test_an_idle_board_goes_back_to_the_others(manage, board):
    manage("f412-01").measure([make_job("ok")])
    assert leases.holder(board) is not None
    with leases.lease(board, 10.0):
        pass


def test_a_released_board_is_given_up_in_mid_measurement(manage, board):
    future = manage("type=nucleo-f412zg").submit(make_job("hangonce"))
    wait_until(scripted.runs)
    held = next(b for b in manage("type=nucleo-f412zg").boards if b.id == scripted.runs()[0][1])
    assert leases.release(held, 5.0).pid == scripted.runs()[0][2]
    assert future.result(30).board != held.id


def test_quarantined_boards_get_no_job(manage, board):
    leases.quarantine(board, "smokes")
    with pytest.raises(NoBoardError, match="quarantined: smokes"):
        manage("f412-01").submit(make_job("ok"))
    assert manage("type=nucleo-f412zg").measure([make_job("ok")])[0].board == "f412-02"


def test_a_type_that_is_not_selected_is_refused_at_once(manage):
    with pytest.raises(NoBoardError, match="no board of type 'nucleo-f767zi' is selected"):
        manage("f412-01").submit(make_job("ok", F767))


def test_real_and_virtual_boards_of_a_type_do_not_mix(write_rack):
    rack = load_rack(
        write_rack(
            "version: 1\ntypes: {t: {mcu: stm32f412zg, target: stm32f412xg}}\n"
            "boards: [{id: a, type: t, probe: 'virtual:A'}, {id: b, type: t, probe: 'stlink:B'}]"
        )
    )
    with pytest.raises(InventoryError, match="both real and virtual"):
        BoardManager(rack, rack.boards)


def test_close_frees_every_board_and_waits_for_no_job(manage, rack):
    manager = manage(job_deadline_s=60.0)
    futures = [manager.submit(make_job(f"hang-{t}", t)) for t in (F412, F767)]
    wait_until(lambda: len(scripted.runs()) == 2)
    started = time.monotonic()
    manager.close()
    assert time.monotonic() - started < 20.0
    assert [leases.holder(b) for b in rack.boards] == [None] * 4
    for future in futures:
        with pytest.raises(FarmError, match="closed"):
            future.result(0)


def test_a_failing_progress_display_keeps_no_result(rack, scripted_path, monkeypatch):
    def explode(event):
        if event.kind == "done":
            raise ValueError("display")

    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    boards = select(rack, "f412-01")
    with BoardManager(rack, boards, progress=explode, runner="scripted:run") as manager:
        futures = [manager.submit(make_job("slow")) for _ in range(2)]
        assert [future.result(30).status for future in futures] == ["ok"] * 2


@pytest.mark.parametrize("kind", ["started", "stage", "retried"])
def test_a_failing_progress_display_leaves_no_job_waiting(
    rack, scripted_path, monkeypatch, kind, caplog
):
    def explode(event):
        if event.kind == kind:
            raise ValueError("display")

    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    boards = select(rack, "f412-01")
    crew = Threads("scripted:run", NO_LADDER)
    with BoardManager(rack, boards, progress=explode, runner=crew) as manager:
        future = manager.submit(make_job("bench"))
        with pytest.raises(FarmError, match="driver"):
            future.result(10)
    assert "ValueError: display" in caplog.text


@pytest.mark.parametrize("name", ["ok", "bench"])
def test_a_store_that_takes_nothing_more_ends_the_job(manage, monkeypatch, name):
    def full(_self, _measurement, *, fence=None):
        raise FarmError("the disk is full")

    manager = manage("f412-01")
    monkeypatch.setattr(Store, "add", full)
    with pytest.raises(FarmError, match="disk is full"):
        manager.submit(make_job(name)).result(10)


MANAGER = """
import sys
sys.path.insert(0, sys.argv[2])
from test_manager import BoardManager, load_rack, make_job
rack = load_rack(sys.argv[1])
with BoardManager(rack, rack.boards[:1], runner="scripted:run") as manager:
    manager.measure([make_job("ok"), make_job("hang")])
"""


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGINT])
def test_a_manager_that_ends_in_mid_measurement_loses_nothing(rack, board, scripted_path, blow):
    command = [sys.executable, "-c", MANAGER, str(rack.path), str(Path(__file__).parent)]
    manager = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    wait_until(lambda: len(scripted.runs()) == 2)
    worker = scripted.runs()[-1][2]
    manager.send_signal(blow)
    manager.wait(5)
    with leases.lease(board, 1.5):
        pass
    wait_until(lambda: not alive(worker), 1.5)
    with Store() as store:
        assert [m.status for m in store.all()] == ["ok"]


def alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


def wait_until(true, timeout_s=20.0):
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.02)
    assert os.getpid()


def test_a_job_can_name_its_board(manage):
    manager = manage("type=nucleo-f412zg")
    futures = [manager.submit(make_job("ok"), on=i) for i in ("f412-02", "f412-01", "f412-02")]
    assert [f.result(30).board for f in futures] == ["f412-02", "f412-01", "f412-02"]


def test_a_named_board_that_fails_is_not_replaced(manage):
    manager = manage("type=nucleo-f412zg", retries=9)
    with pytest.raises(BenchError, match="no f412-02 is left in service"):
        manager.submit(make_job("bench"), on="f412-02").result(30)
    assert {board for _, board, _ in scripted.runs()} == {"f412-02"}
    assert manager.measure([make_job("ok")])[0].board == "f412-01"


def test_purposes_go_by_their_weight_and_stored_results_by_their_care(manage):
    manager = manage("f412-01")
    blocker = manager.submit(make_job("slow"))
    wait_until(scripted.runs)
    order = [("ok-1", "search"), ("ok-2", "final"), ("ok-3", "calibration"), ("ok-4", "golden")]
    for future in [manager.submit(make_job(name), purpose=purpose) for name, purpose in order]:
        future.result(30)
    blocker.result(30)
    assert [name for name, _, _ in scripted.runs()[1:]] == ["ok-4", "ok-2", "ok-3", "ok-1"]
    made = {"ok-1": "search", "ok-2": "final", "ok-4": "golden"}
    wanted = [("ok-1", "final", True), ("ok-2", "search", False), ("ok-4", "golden", True)]
    for name, purpose, measured in wanted:
        m = manager.submit(make_job(name), purpose=purpose).result(30)
        assert (m.source == "measured") is measured, (name, made[name], purpose)


def test_only_boards_with_the_tags_of_a_job_do_it(rack, scripted_path):
    boards = [replace(b, tags={"probe": "yes"} if b.id == "f412-02" else {}) for b in rack.boards]
    with BoardManager(rack, boards, runner=Threads("scripted:run", NO_LADDER)) as manager:
        tagged = [make_job(f"ok-{n}", tags={"probe": "yes"}) for n in range(3)]
        assert {m.board for m in manager.measure(tagged)} == {"f412-02"}
        with pytest.raises(NoBoardError, match="no selected nucleo-f767zi board has the tags"):
            manager.submit(make_job("ok", F767, tags={"probe": "yes"}))


def test_a_job_waits_no_longer_than_its_deadline(manage):
    manager = manage("f412-01")
    futures = [manager.submit(make_job("slow"))]
    wait_until(scripted.runs)
    futures.append(manager.submit(make_job("hang"), deadline_s=0.1))
    with pytest.raises(BoardsBusyError, match="before its deadline"):
        futures[1].result(5)
    assert futures[0].result(30).status == "ok"
    assert len(scripted.runs()) == 1


def test_a_job_with_an_id_is_measured_once_whatever_is_asked(manage):
    job = make_job("ok", id="mine")
    first = manage("f412-01").submit(job, on="f412-01").result(30)
    again = manage("type=nucleo-f412zg").submit(job, again=True).result(5)
    assert (again.source, again.cycles) == ("stored", first.cycles)
    assert len(scripted.runs()) == 1


def test_the_attempts_of_a_job_with_an_id_count_across_managers(manage):
    job = make_job("bench", id="mine")
    manager = manage("f412-01", retries=1)
    manager._teller.emit = lambda event: manager.close() if event.kind == "retried" else None
    with pytest.raises(FarmError, match="closed"):
        manager.submit(job).result(10)
    assert len(scripted.runs()) == 1
    for _ in range(2):
        with pytest.raises(BenchError, match="failure 2"):
            manage("f412-01", retries=1).submit(job).result(30)
    assert len(scripted.runs()) == 2


def test_a_result_of_a_lost_lease_is_not_stored_and_measured_again(manage, board):
    manager = manage("f412-01")
    late = Fence(normal_uid(board.probe), 2**40)
    future = manager.submit(make_job("slow"))
    wait_until(scripted.runs)
    manager.store.announce(late)
    with pytest.raises(BenchError, match="a newer lease of f412-01"):
        future.result(30)
    assert {m.status for m in manager.store.all()} == {"bench_failure"}
