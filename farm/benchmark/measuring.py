"""Cases on boards: which boards, the measurement of each case, and the record it becomes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace

from engine.mode import FASTEST
from farm.benchmark.cases import Case
from farm.benchmark.counting import Counts, count_instructions
from farm.benchmark.flash_split import flash_split
from farm.benchmark.record import KERNELS, Part, Record
from farm.errors import BenchError, NoBoardError
from farm.image import build_image
from farm.job import Job
from farm.manager import BoardManager
from farm.mcus import load_mcu
from farm.measure import Measurement
from farm.rack.inventory import Board

REPEATS = 3
Group = tuple[Board, ...]


@dataclass(frozen=True, eq=False)
class Work:
    """One case on one type of board."""

    case: Case
    boards: Group

    @property
    def title(self) -> str:
        """For progress and errors."""
        case = self.case
        mode = "" if case.mode == FASTEST else f", {case.mode}"
        return f"{case.name} ({case.variant}{mode}) on {self.boards[0].type.name}"


def one_group_a_core(boards: Sequence[Board]) -> tuple[Group, ...]:
    """For an M4 and an M7 the boards of the first type that the rack has; NoBoardError if none."""
    types: dict[str, str] = {}  # by core
    for board in boards:
        types.setdefault(load_mcu(board.type.mcu).core, board.type.name)
    if not types:
        raise NoBoardError("no board is selected; try --boards all")
    return tuple(tuple(b for b in boards if b.type.name == types[core]) for core in sorted(types))


def measured(
    manager: BoardManager, work: Sequence[Work], told: Callable[[str], None]
) -> Iterator[Record]:
    """One record a piece of work, in order; BenchError for an output that is wrong."""
    futures = [manager.submit(_job(each), again=True) for each in work]
    for each, future in zip(work, futures, strict=True):
        record = _record(each, future)
        told(f"{each.title}: {_shown(record):,} cycles")
        yield record


def _shown(record: Record) -> int:
    """A kernel's case is about its last layer alone."""
    return record.parts[0].cycles if record.variant == KERNELS else record.cycles


def _job(work: Work) -> Job:
    case = work.case
    board_type = work.boards[0].type.name
    return Job(case.name, case.model, board_type, case.inputs, case.expected, REPEATS)


def _record(work: Work, future: Future[Measurement]) -> Record:
    found = future.result()  # bounded by the manager
    if found.status != "ok":
        raise BenchError(f"{work.title}: {found.message or found.status}", found.board)
    case, mcu = work.case, load_mcu(work.boards[0].type.mcu)
    image = build_image(case.model, mcu, found.board_type)
    counts = count_instructions(image, case.inputs) if found.virtual else None
    if counts and counts.output != case.expected:
        raise BenchError(f"{work.title}: the emulated part has another output than the board")
    split = flash_split(image, case.model.files)
    return Record(
        commit="",
        case=case.name,
        variant=case.variant,
        board_type=found.board_type,
        core=mcu.core,
        clock_hz=found.clock_hz,
        timing_model=found.timing_model,
        compiler=str(found.provenance["compiler"]),
        flags=str(found.provenance["compiler_flags"]),
        macs=sum(case.given_macs.values()),
        cycles=found.cycles,
        instructions=counts.inference if counts else None,
        arena_bytes=found.arena_bytes,
        stack_bytes=found.stack_bytes,
        flash_bytes=found.flash_bytes,
        code_bytes=split.code_bytes,
        constant_bytes=split.constant_bytes,
        parts=_kinds(case, found, counts),
        mode=case.mode,
    )


def _kinds(case: Case, found: Measurement, counts: Counts | None) -> tuple[Part, ...]:
    """Sums over the layers of each kind; of a kernel's case its last layer, the one it is about."""
    layers = case.model.layers[-1:] if case.variant == KERNELS else case.model.layers
    parts: dict[str, Part] = {}
    for layer in layers:
        label = case.name if case.variant == KERNELS else case.label(layer)
        old = parts.get(label, Part(label, 0, 0, 0, 0 if counts else None))
        height, width, channels = layer.output_shape
        parts[label] = replace(
            old,
            macs=old.macs + case.given_macs.get(layer.name, 0),
            outputs=old.outputs + height * width * channels,
            cycles=old.cycles + found.layer_cycles[layer.index],
            instructions=_sum(old.instructions, counts.layers[layer.index] if counts else None),
            kernel=layer.kernel if case.variant == KERNELS else "",
        )
    return tuple(parts.values())


def suite(records: Sequence[Record]) -> Record:
    """The kernel suite on one type of board as one record; its sizes are the largest image's."""
    parts = tuple(part for record in records for part in record.parts)
    return replace(
        max(records, key=lambda record: record.flash_bytes),
        case=KERNELS,
        macs=sum(part.macs for part in parts),
        cycles=sum(part.cycles for part in parts),
        instructions=_sum(*(part.instructions for part in parts)),
        parts=parts,
    )


def _sum(*values: int | None) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None
