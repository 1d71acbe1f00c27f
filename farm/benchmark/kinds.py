"""Where the cycles go, by kind of layer; and the kernel suite, case by case."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from farm.benchmark.markdown import NONE, each, table, whole
from farm.benchmark.record import KERNELS, Part, Record

KERNELS_BEGIN = "<!-- written by nox -s bench: begin -->"
KERNELS_END = "<!-- written by nox -s bench: end -->"
Found = dict[tuple[str, bool, str], dict[str, Part]]
"""Parts by their label, by board type, whether it is virtual, and variant."""
_CORES = {"cortex-m4": "M4", "cortex-m7": "M7"}


def kinds_of(records: Sequence[Record]) -> Iterator[str]:
    """For each network a heading and a table; figures are of one MAC or, without, one output."""
    for name in dict.fromkeys(record.case for record in records):
        mine = [record for record in records if record.case == name]
        boards = sorted({(r.core, r.board_type, r.virtual) for r in mine})
        head = ["kind", "MACs ", "per"]
        for core, board, virtual in boards:
            place = f"{_short(core)} ({'**virtual** ' if virtual else ''}`{board}`)"
            head += [f"{place} instructions, file ", "cycles, file ", "cycles, folded "]
        found: Found = {(r.board_type, r.virtual, r.variant): _by_label(r) for r in mine}
        labels = dict.fromkeys(label for parts in found.values() for label in parts)
        rows = [_row(label, found, boards) for label in labels]
        yield f"### {name}"
        yield table(head, rows)


def _by_label(record: Record) -> dict[str, Part]:
    return {part.label: part for part in record.parts}


def _row(
    label: str,
    found: Found,
    boards: Sequence[tuple[str, str, bool]],
) -> tuple[str, ...]:
    cells: list[str] = []
    parts = [parts[label] for parts in found.values() if label in parts]
    macs = max(part.macs for part in parts)
    divisor = macs or max(part.outputs for part in parts)
    for _, board, virtual in boards:
        file = found.get((board, virtual, "file"), {}).get(label)
        folded = found.get((board, virtual, "folded"), {}).get(label)
        cells += [
            each(file.instructions if file else None, divisor),
            each(file.cycles if file else None, divisor),
            each(folded.cycles if folded else None, divisor),
        ]
    return (label, whole(macs) if macs else NONE, "MAC" if macs else "output", *cells)


def kernel_table(records: Sequence[Record]) -> str:
    """The kernel suite: one row a case, one block of columns a type of board."""
    suites = sorted((r for r in records if r.case == KERNELS), key=lambda r: (r.core, r.board_type))
    head, made = ["case", "kernel"], []
    for r in suites:
        head += [f"{_short(r.core)} cycles ", "a MAC ", "an output ", "instr. a MAC ", "an output "]
        cycles = f"**virtual**, model `{r.timing_model}`, not silicon" if r.virtual else "silicon"
        made.append(f"{_short(r.core)}: `{r.board_type}`, {cycles}, {r.compiler}, at {r.commit}.")
    found = [_by_label(record) for record in suites]
    labels = dict.fromkeys(label for parts in found for label in parts)
    rows = []
    for label in labels:
        parts = [each.get(label) for each in found]
        kernel = next(part.kernel for part in parts if part)
        rows.append((label, f"`{kernel}`", *(cell for part in parts for cell in _figures(part))))
    return " ".join(made) + "\n\n" + table(head, rows)


def _figures(part: Part | None) -> tuple[str, ...]:
    if part is None:
        return (NONE,) * 5
    return (
        whole(part.cycles),
        each(part.cycles, part.macs),
        each(part.cycles, part.outputs, 1),
        each(part.instructions, part.macs),
        each(part.instructions, part.outputs, 1),
    )


def with_kernels(text: str, records: Sequence[Record]) -> str | None:
    """The text with the table between its two marks; None when it lacks the marks."""
    head, begin, rest = text.partition(KERNELS_BEGIN)
    _, end, tail = rest.partition(KERNELS_END)
    if not (begin and end):
        return None
    return f"{head}{begin}\n\n{kernel_table(records)}\n\n{end}{tail}"


def _short(core: str) -> str:
    return _CORES.get(core, core)
