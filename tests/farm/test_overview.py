"""The rack at one moment: who holds what, who waits, what happened, and how it is shown."""

import contextlib
import dataclasses
import io
import json
import os
import pty
import signal
import sys
import threading
import time
import urllib.request
from argparse import Namespace

import pytest
import top_picture
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console

from farm import cli, desks, output
from farm.commands import metrics, top
from farm.desks import Publisher
from farm.leases import boot_clock, lease, lock_files
from farm.leases.lease_rows import opened
from farm.metrics import registry_of
from farm.overview import overview
from farm.store import Store
from farm.store.history import GoldenRun, Recovery


@pytest.fixture
def store(rack):
    with Store(rack=rack) as opened_store:
        yield opened_store


def board_now(boards, store, board):
    (found,) = (each for each in overview(boards, store).boards if each.board == board)
    return found


def test_a_board_is_free_busy_hung_or_quarantined(rack, store, board, monkeypatch):
    assert board_now(rack.boards, store, board).status == "free"
    with lease.lease(board, 0.1, purpose="a look") as held:
        held.tell("net: flash")
        held.check()
        found = board_now(rack.boards, store, board)
        assert (found.status, found.holder.doing, found.holder.purpose) == (
            "busy", "net: flash", "a look",
        )  # fmt: skip
        monkeypatch.setattr(boot_clock, "now_s", lambda: time.monotonic() + 60.0)
        assert board_now(rack.boards, store, board).status == "hung"
        monkeypatch.undo()
    lease.quarantine(board, "smokes")
    assert board_now(rack.boards, store, board).status == "quarantined"


def test_what_happened_lately_is_counted_and_what_is_old_is_not(rack, store, board, measurement):
    for utc in ("2020-01-01T00:00:00+00:00", overview([], store).utc):
        m = dataclasses.replace(measurement(), board=board.id, utc=utc)
        store.add(m)
        row = Recovery(board=board.id, rung="power cycle", seconds=1.0, outcome="done", utc=utc)
        store.add_recovery(row)
    failed = {"status": "bench_failure", "output_ok": False, "samples": (), "cycles": 0}
    store.add(dataclasses.replace(m, **failed, cold_cycles=0))
    found = board_now(rack.boards, store, board)
    counts = {"ok": 1, "bench_failure": 1}
    assert (found.measured, found.recovered) == (counts, {"power cycle": 1})
    assert overview(rack.boards, store).per_minute == pytest.approx(0.2)  # of what was measured


def test_a_manager_at_work_is_seen_and_one_that_died_is_not(board, monkeypatch):
    place = lock_files.place_of(board)
    monkeypatch.setattr(desks, "PERIOD_S", 0.01)
    publisher = Publisher(place, lambda: {"waiting": 3})
    publisher.start()
    deadline = time.monotonic() + 5.0
    while not (found := desks.desks(place)) and time.monotonic() < deadline:
        time.sleep(0.005)  # the deadline is above
    assert [(row.pid, row.facts) for row in found] == [(os.getpid(), {"waiting": 3})]
    publisher.stop()
    assert desks.desks(place) == []
    with opened(place) as rows, rows.changing() as db:
        values = (os.getpid(), 1, boot_clock.boot_id(), boot_clock.now_s(), "ann", "{}")
        db.execute("INSERT INTO desks VALUES (?, ?, ?, ?, ?, ?)", values)
    assert desks.desks(place) == []


def test_top_shows_who_holds_a_board_and_what_it_is_at(rack, board, run_top):
    with lease.lease(board, 0.1) as held:
        held.tell("net: \x1b[2Jflash")
        held.check()
        text = run_top("--once")
        (row, *_) = run_top("--json")["results"]
    line = next(line for line in text.splitlines() if board.id in line)
    assert f"process {os.getpid()}" in line
    assert "\\x1b[2Jflash: net" in line
    assert "(virtual)" in line
    assert "4 boards (4 virtual): 3 free, 1 busy" in text
    assert (row["board"], row["status"], row["holder"]["pid"]) == (board.id, "busy", os.getpid())


@pytest.fixture
def run_top(capsys):
    def run(*words):
        assert cli.main(["top", *words]) == 0
        out = capsys.readouterr().out
        return json.loads(out) if "--json" in words else out

    return run


@pytest.mark.parametrize("columns", [80, 150])
def test_every_line_of_top_keeps_to_the_width_however_long_names_are(rack, store, columns):
    long = dataclasses.replace(rack.boards[0], id="a-very-long-name-of-a-board-" * 2)
    lease.quarantine(long, "a reason that goes on and on " * 5)
    console = Console(width=columns, record=True, file=io.StringIO())
    console.print(top.shown(overview([long, *rack.boards], store), columns))
    lines = console.export_text().splitlines()
    assert len(lines) == 2 + len(rack.boards) + 1
    assert all(len(line) <= columns for line in lines)


def test_where_boards_have_no_room_those_in_trouble_are_shown_and_the_others_counted(rack, store):
    quiet = [dataclasses.replace(rack.boards[0], id=f"quiet-{n}") for n in range(30)]
    lease.quarantine(rack.boards[1], "smokes")
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(top.shown(overview([*quiet, rack.boards[1]], store), 80, lines=10))
    lines = console.export_text().splitlines()
    assert len(lines) == 10
    assert lines[2].startswith(rack.boards[1].id)
    assert lines[-1].strip() == "not shown: 24 free"


def test_a_signal_ends_top_and_gives_the_terminal_back(rack):
    code = "import sys; from farm.cli import main; sys.exit(main(sys.argv[1:]))"
    words = ("top", "--boards-file", str(rack.path))
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", code, *words])
    shown = b""
    while b"f767-02" not in shown:  # ends: a child that fails closes the terminal
        shown += os.read(terminal, 65_536)
    os.kill(pid, signal.SIGTERM)  # Ctrl-C has the same handler
    with contextlib.suppress(OSError):  # how a terminal says that its child has ended
        while more := os.read(terminal, 65_536):
            shown += more
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    os.close(terminal)
    assert shown.count(b"\x1b[?1049h") == shown.count(b"\x1b[?1049l") == 1
    assert shown.rindex(b"\x1b[?25h") > shown.rindex(b"\x1b[?25l")


def test_the_picture_of_top_in_the_documents_is_what_it_draws():
    advice = "draw it anew: python tests/farm/top_picture.py"
    assert top_picture.PATH.read_text(encoding="utf-8") == top_picture.picture(), advice


def test_spans_are_written_as_clocks_show_them():
    assert [output.span(s) for s in (5, 65.4, 3_725)] == ["0:05", "1:05", "1:02:05"]


def test_metrics_tell_of_boards_measurements_recoveries_and_golden_runs(
    rack, store, board, measurement
):
    store.add(dataclasses.replace(measurement(), board=board.id))
    store.add_recovery(Recovery(board=board.id, rung="mass erase", seconds=2.0, outcome="done"))
    run = {"board": board.id, "board_type": board.type.name, "virtual": True}
    store.add_golden_run(GoldenRun(**run, ok=True, cycles=84_429))
    with lease.lease(board, 0.1):
        found = samples(generate_latest(registry_of(rack, rack.boards)).decode())
    who = {"board": board.id, "board_type": board.type.name, "virtual": "yes"}
    counted = {"board": board.id, "virtual": "yes", "status": "ok"}
    assert found["tinyrack_board_status", labels(who | {"status": "busy"})] == 1
    assert found["tinyrack_board_status", labels(who | {"status": "free"})] == 0
    assert found["tinyrack_golden_cycles", labels(who)] == 84_429
    assert found["tinyrack_measurements_total", labels(counted)] == 1
    rung = {"board": board.id, "rung": "mass erase", "outcome": "done"}
    assert found["tinyrack_recoveries_total", labels(rung)] == 1


def test_metrics_of_a_rack_whose_store_cannot_be_read_say_so(rack, tmp_path):
    (tmp_path / "results.db").write_text("no database at all")
    text = generate_latest(registry_of(rack, rack.boards, str(tmp_path / "results.db"))).decode()
    assert samples(text) == {("tinyrack_up", ()): 0}


def test_metrics_are_served_over_http(rack, monkeypatch):
    told: list[str] = []
    monkeypatch.setattr(metrics, "note", told.append)
    args = Namespace(
        boards_file=rack.path, boards="", store=None, once=False, port=0, address="127.0.0.1"
    )
    threading.Thread(target=metrics.run, args=(args,), daemon=True).start()
    deadline = time.monotonic() + 5.0
    while not told and time.monotonic() < deadline:
        time.sleep(0.01)  # the deadline is above
    url = told[0].removeprefix("metrics at ").partition(";")[0]
    with urllib.request.urlopen(url, timeout=5.0) as answer:
        assert b"tinyrack_board_status" in answer.read()


def labels(values: dict[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(values.items()))


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, labels(sample.labels)): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
