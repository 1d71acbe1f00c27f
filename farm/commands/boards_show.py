"""`tinyrack boards show`: all that is known of one board, and what happened to it lately."""

from argparse import Namespace
from collections.abc import Iterable
from dataclasses import asdict

from farm.commands.boards import as_json, golden_text, held_by, last_text
from farm.commands.results import GOLDEN_CELLS, RECOVERY_CELLS, Cells
from farm.ladder.slow_wires import as_used, slow_until
from farm.leases import lease
from farm.leases.lock_files import place_of
from farm.mcus import load_mcu
from farm.output import at, print_json, print_table, span
from farm.overview import BoardNow, overview
from farm.rack.board import Board
from farm.rack.inventory import load_rack
from farm.store import Store
from farm.wear import Wear, wear_of

LAST = 10


def run(args: Namespace) -> int:
    """Show one board, with its last recoveries and golden runs."""
    rack = load_rack(args.boards_file)
    board = rack.board(args.board)
    with Store(args.store, rack=rack) as store:
        (now,) = overview([board], store).boards
        climbed, golden = store.recoveries(board.id)[-LAST:], store.golden_runs(board.id)[-LAST:]
    wear = wear_of(board)
    if args.json:
        more = {
            "recoveries": [asdict(r) for r in climbed],
            "golden_runs": list(map(asdict, golden)),
        }
        clock = {"swd_hz": as_used(board).swd_hz}
        print_json({"results": [as_json(now) | clock | {"wear": asdict(wear)} | more]})
        return 0
    print_table(board.id, ("what", "value"), _facts(now, wear))
    _print(f"the last {LAST} recoveries", RECOVERY_CELLS, climbed)
    _print(f"the last {LAST} golden runs", GOLDEN_CELLS, golden)
    return 0


def _print(title: str, cells: Cells, rows: Iterable[object]) -> None:
    """Without the column that says which board: here all are of one."""
    named = {name: cell for name, cell in cells.items() if name not in ("board", "type")}
    lines = [[cell(row) for cell in named.values()] for row in rows]
    if lines:
        print_table(title, list(named), lines)


def _facts(now: BoardNow, wear: Wear) -> list[tuple[str, object]]:
    board, mcu = now.board, load_mcu(now.board.type.mcu)
    waiting = ", ".join(
        f"{w.user}, process {w.pid}, for {span(w.seconds)}" for w in lease.waiters(board)
    )
    return [
        ("type", f"{board.type.name} ({mcu.name}, {mcu.core}, {mcu.clock_hz / 1e6:.0f} MHz)"),
        ("kind", "virtual: its cycles are a model" if board.virtual else "silicon"),
        ("probe", board.probe),
        ("console", _console(board)),
        ("power", _power(board)),
        ("debug clock", _debug_clock(board)),
        ("tags", ", ".join(f"{key}={value}" for key, value in board.tags.items()) or None),
        ("state", board.state),
        ("health", f"quarantined: {now.quarantine}" if now.quarantine else "good"),
        ("held by", held_by(now)),
        ("lease", now.holder and f"token {now.holder.token}, since {now.holder.since_utc}"),
        ("waiting", waiting or None),
        ("golden run", golden_text(now)),
        ("wear", _worn(wear, now.worn_percent, mcu.rated_erases)),
        ("last measurement", last_text(now.last)),
        ("locks and leases", place_of(board).folder),
    ]


def _console(board: Board) -> str:
    if board.virtual:
        return "its daemon's"
    spec = board.serial
    interface = "" if spec.interface is None else f", interface {spec.interface}"
    return f"by {spec.by} {spec.value}".rstrip() + interface


def _debug_clock(board: Board) -> str:
    used = as_used(board)
    clock = f"{used.swd_hz / 1e6:g} MHz, connecting {used.connect_mode}"
    until = slow_until(board)
    if until is None:
        return clock
    return (
        f"{clock}: lowered by recovery from {board.swd_hz / 1e6:g} MHz, until "
        f"{at(until.isoformat())}; mend its wires, or set swd_hz in boards.yaml"
    )


def _power(board: Board) -> str | None:
    if board.virtual:
        return "its daemon's"
    if board.power is None:
        return None
    hub = f"port {board.power.port} of hub {board.power.hub}"
    return hub if board.power.hub else " ".join(board.power.off)


def _worn(wear: Wear, percent: float, rated: int) -> str:
    if not wear.erases:
        return "no sector erased yet"
    return (
        f"{wear.erases:,} erases; {wear.most:,} of {rated:,} rated ({percent:.2f} %) of the "
        f"sector at {wear.sector:#010x}"
    )
