"""`tinyrack results`: what is stored: list, show, export; the audit; what happened to boards."""

import json
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from farm.errors import InventoryError
from farm.measure import Scalar
from farm.output import at, print_json, print_line, print_table
from farm.rack.inventory import find_rack
from farm.store import Store
from farm.store.export import write_csv, write_parquet
from farm.store.history import GoldenRun
from farm.store.place import Place, place_of
from farm.store.query import Row, Wanted

SHOWN = 50
_COLUMNS = (
    *("id ", "UTC", "name", "board", "type", "kind", "status", "cycles ", "latency ms "),
    *("peak SRAM B ", "flash B ", "flags"),
)
_HASH_DIGITS = 12  # of a checksum in a table; --json has all of them
Cells = Mapping[str, Callable[[Any], object]]  # a cell of each column
_AUDIT: Cells = {
    "entry ": lambda e: e.seq,
    "UTC": lambda e: at(e.utc),
    "who": lambda e: f"{e.user}@{e.host}:{e.pid}",
    "action": lambda e: e.action,
    "board": lambda e: e.board,
    "token ": lambda e: e.lease_token,
    "image": lambda e: _short(e.image_sha256),
    "result": lambda e: e.result,
    "facts": lambda e: _facts(e.facts),
    "hash": lambda e: _short(e.hash),
}
RECOVERY_CELLS: Cells = {
    "UTC": lambda r: at(r.utc),
    "board": lambda r: r.board,
    "rung": lambda r: r.rung,
    "seconds ": lambda r: f"{r.seconds:.2f}",
    "outcome": lambda r: r.outcome,
    "token ": lambda r: r.lease_token,
    "detail": lambda r: r.detail,
}
GOLDEN_CELLS: Cells = {
    "UTC": lambda g: at(g.utc),
    "board": lambda g: g.board,
    "type": lambda g: g.board_type,
    "kind": lambda g: "virtual" if g.virtual else "silicon",
    "right": lambda g: "yes" if g.ok else "no",
    "cycles ": lambda g: _count(g.cycles),
    "clock Hz ": lambda g: g.clock_hz and f"{g.clock_hz:,.0f}",
    "token ": lambda g: g.lease_token,
    "detail": lambda g: g.detail,
    "facts": lambda g: _facts(g.facts),
}


def run(args: Namespace) -> int:
    """List the measurements that match, or export them."""
    exporting = not (args.csv is None and args.parquet is None)
    limited = args.limit or (None if exporting or args.json else SHOWN)
    with _open(args) as store:
        found = store.rows(_wanted(args, limited))
        if exporting:
            return _export(args, found)
        if args.json:
            print_json({"store": str(store.place), "results": [row.to_json() for row in found]})
        else:
            print_table(str(store.place), _COLUMNS, map(_cells, found))
    return 0


def show(args: Namespace) -> int:
    """Print one measurement with all that is known of how it was made."""
    with _open(args) as store:
        row = store.row(args.number)
        if row is None:
            advice = "`tinyrack results` lists what there is"
            raise InventoryError(f"{store.place}: no measurement {args.number}; {advice}")
        around = store.golden_around(row.columns["board"], row.id)
    runs = dict(zip(("golden_before", "golden_behind"), around, strict=True))
    if args.json:
        runs_json = {name: _golden_json(run) for name, run in runs.items()}
        print_json({"results": [row.to_json() | runs_json]})
        return 0
    told = ((name.replace("_", " run "), _golden_told(run)) for name, run in runs.items())
    print_table(f"measurement {row.id}", ("what", "value"), [*_pairs(row), *told])
    return 0


def audit(args: Namespace) -> int:
    """Print who did what to which board; with --verify, whether the record is whole."""
    with _open(args) as store:
        if args.verify:
            return _verify(args, store)
        _print_rows(args, store.place, _AUDIT, store.entries(args.board))
    return 0


def recoveries(args: Namespace) -> int:
    """Print what was tried on boards that failed."""
    with _open(args) as store:
        _print_rows(args, store.place, RECOVERY_CELLS, store.recoveries(args.board))
    return 0


def golden(args: Namespace) -> int:
    """Print how the golden images ran."""
    with _open(args) as store:
        _print_rows(args, store.place, GOLDEN_CELLS, store.golden_runs(args.board))
    return 0


@contextmanager
def _open(args: Namespace) -> Iterator[Store]:
    """The store of --store, the environment or the rack, whose file must be there only if named."""
    rack = find_rack(args.boards_file)
    place = place_of(args.store, rack)
    if args.store and place.path and not place.path.is_file():
        raise InventoryError(f"{place}: no such results database; --store names one that exists")
    with Store(args.store, rack=rack) as store:
        yield store


def _wanted(args: Namespace, newest: int | None) -> Wanted:
    if args.virtual and args.silicon:
        raise InventoryError("--virtual and --silicon exclude each other; without either, both")
    return Wanted(
        board=args.board or "",
        board_type=args.type or "",
        status=args.status or "",
        name=args.name or "",
        since=args.since or "",
        until=args.until or "",
        virtual=args.virtual if args.virtual or args.silicon else None,
        flagged=args.flagged,
        newest=newest,
    )


def _export(args: Namespace, found: Iterator[Row]) -> int:
    if args.csv and args.parquet:
        raise InventoryError("--csv and --parquet are two exports; run the command twice")
    is_csv = args.csv is not None
    write, path = (write_csv, args.csv) if is_csv else (write_parquet, args.parquet)
    count = write(found, Path(path))
    if args.json:
        print_json({"results": [{"file": path, "rows": count}]})
    else:
        print_line(f"{path}: {count:,} measurements")
    return 0


def _verify(args: Namespace, store: Store) -> int:
    verdict = store.verify()
    if args.json:
        print_json({"store": str(store.place), "results": [asdict(verdict) | {"ok": True}]})
    else:
        print_line(
            f"{store.place}: {verdict.entries:,} entries and {verdict.measurements:,} "
            f"measurements are as they were written; the chain ends in {verdict.hash or 'nothing'}"
        )
    return 0


def _print_rows(args: Namespace, place: Place, cells: Cells, found: Sequence[Any]) -> None:
    if args.json:
        print_json({"store": str(place), "results": [asdict(each) for each in found]})
        return
    print_table(str(place), list(cells), ([cell(row) for cell in cells.values()] for row in found))


def _cells(row: Row) -> list[object]:
    c = row.columns
    ok = c["status"] == "ok"
    return [
        *(row.id, at(c["utc"]), c["name"], c["board"], c["board_type"], row.kind, c["status"]),
        f"{c['cycles']:,}" if ok and c["cycles"] is not None else None,
        f"{c['latency_ms']:.3f}" if ok and c["latency_ms"] is not None else None,
        *(_count(c["peak_sram_bytes"]), _count(c["flash_bytes"]), "; ".join(row.flags) or None),
    ]


def _count(value: int | None) -> str | None:
    return None if value is None else f"{value:,}"


def _pairs(row: Row) -> Iterable[tuple[str, object]]:
    for key, value in row.to_json().items():
        if key == "provenance":
            yield from ((f"provenance: {name}", fact) for name, fact in value.items())
        else:
            yield key, value if isinstance(value, str | int | float) else json.dumps(value)


def _golden_json(found: tuple[int, GoldenRun] | None) -> dict[str, Any] | None:
    return {"id": found[0]} | asdict(found[1]) if found else None


def _golden_told(found: tuple[int, GoldenRun] | None) -> str | None:
    if found is None:
        return None
    number, run = found
    return f"{number}: {'right' if run.ok else f'WRONG: {run.detail}'}, {at(run.utc)}"


def _facts(facts: Mapping[str, Scalar]) -> str:
    return ", ".join(f"{key} {_short(value)}" for key, value in facts.items())


def _short(value: Scalar) -> str:
    is_hash = isinstance(value, str) and len(value) == 64 and value.isalnum()
    return str(value)[:_HASH_DIGITS] if is_hash else str(value)
