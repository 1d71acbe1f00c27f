"""docs/benchmarks.md, made of nothing but the record and the figures of peers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from engine.mode import FASTEST
from farm.benchmark.earlier import earlier
from farm.benchmark.goals import Goal, goal_table
from farm.benchmark.kinds import kinds_of
from farm.benchmark.markdown import NONE, each, table, whole
from farm.benchmark.modes import mode_table
from farm.benchmark.names import board_name, core_name
from farm.benchmark.peers import Peer, best_silicon, counted
from farm.benchmark.record import KERNELS, Record
from farm.benchmark.record_file import latest

_TITLE = "# What the networks cost"
_ORIGIN = (
    "Written by `nox -s bench` from `benchmarks.jsonl`, which keeps the figures of every recorded "
    "commit, `benchmarks-peers.csv` and `benchmarks-goals.csv`. The same sources give the same "
    "page on any computer. A network that is slower or larger (arena, stack, flash) by more than "
    "1 % than its best since the last accepted record fails the session and is not recorded, "
    "unless `nox -s bench -- record --accept REASON` says why it may be. A `+` behind a commit: "
    "with changed sources. "
    "[kernels.md](kernels.md) has the kernels one by one, [timing.md](timing.md) says what the "
    "cycles of virtual boards are made of."
)
_READING = (
    "Rows marked **virtual** have the cycles of a model: they are **not silicon** and nothing was "
    "fitted to make them agree with the published rows beside them, which are. Instructions are "
    "exact; they are counted where the same image runs emulated. *Folded*: the network as it is "
    "compiled, constant channels folded away; *file*: without any rewrite (`--no-rewrite`). Both "
    "are divided by the MACs of the file. Every output equals the reference, bit by bit."
)
_FLASH = (
    "Arena: static RAM for inputs, outputs, activations and scratch. Stack: painted, the harness's "
    "own included. Flash: code of kernels and model, constants (weights and tables), and the bench "
    "harness with start-up. Peers: arena and stack, and flash without a harness."
)
_PEERS = (
    "Published silicon: the best row of MLPerf Tiny's closed division for that core, on boards "
    "with other flash and RAM than those here. TinyEngine "
    "and CMSIS-NN: instructions counted under QEMU, arm-none-eabi-gcc 12.2.1 with `-Ofast`; a star "
    "marks outputs that are not TFLite's, a dash a network that the engine refused, computed "
    "wrongly, or that was not measured."
)
_GOALS = (
    "From `benchmarks-goals.csv`: limits that were set before the kernels were written, and what "
    "the last record says. An empty core means every core: the M7's kernels spend instructions "
    "to save cycles, and are held against the same number."
)
_MODES = (
    "`--mode` of `tinyrack compile` and `tinyrack bench` (see [kernels.md](kernels.md#modes)). "
    "Flash here is code and constants, without the harness."
)
_ENGINES = ("TinyEngine", "CMSIS-NN")


def page(history: Sequence[Record], peers: Sequence[Peer], goals: Sequence[Goal] = ()) -> str:
    """The whole page."""
    records = networks_of(history)
    parts = [_TITLE, _ORIGIN, _READING, "## How these figures were made", _made(latest(history))]
    cores = sorted({record.core for record in records})
    parts += ["## Cycles and instructions a MAC"]
    for core in cores:
        parts += [f"### {core_name(core)}", _costs([r for r in records if r.core == core])]
    parts += ["## Goals", _GOALS, goal_table(goals, latest(history))]
    parts += ["## Beside other engines", _PEERS, "![Cycles a MAC beside peers](benchmarks.svg)"]
    for core in cores:
        parts += [f"### {core_name(core)}, peers", _beside(_folded(records, core), records, peers)]
    parts += ["## Memory", _FLASH, _memory(records, peers)]
    parts += ["## Modes", _MODES, mode_table(latest(history))]
    parts += ["## By kind of layer", *kinds_of(records)]
    parts += ["## Earlier records", *earlier(history)]
    return "\n\n".join(parts) + "\n"


def networks_of(history: Sequence[Record]) -> list[Record]:
    """The last record of each case of a network, in the fastest mode."""
    found = (record for record in latest(history) if record.case != KERNELS)
    return [record for record in found if record.mode == FASTEST]


def _made(records: Sequence[Record]) -> str:
    head = ("board", "core", "MHz ", "cycles", "compiler", "commit")
    rows = {
        (
            f"`{r.board_type}`",
            core_name(r.core),
            f"{r.clock_hz / 1e6:g}",
            f"**virtual**: model `{r.timing_model}`, not silicon" if r.virtual else "silicon",
            r.compiler,
            r.commit,
        )
        for r in records
    }
    flags = sorted({f"- `{r.board_type}`: `{r.flags}`" for r in records})
    lines = (table(head, sorted(rows)), "Flags of the compiler:", "\n".join(flags))
    return "\n\n".join(lines)


def _costs(records: Sequence[Record]) -> str:
    head = (
        *("network", "board", "MACs ", "cycles, folded ", "a MAC ", "cycles, file ", "a MAC "),
        *("instructions a MAC, folded ", "file "),
    )
    return table(head, [_cost(folded, file) for folded, file in _pairs(records)])


def _cost(folded: Record, file: Record | None) -> tuple[str, ...]:
    macs = folded.macs
    return (
        folded.case,
        board_name(folded),
        whole(macs),
        whole(folded.cycles),
        each(folded.cycles, macs),
        whole(file.cycles if file else None),
        each(file.cycles if file else None, macs),
        each(folded.instructions, macs),
        each(file.instructions if file else None, macs),
    )


def _pairs(records: Sequence[Record]) -> Iterator[tuple[Record, Record | None]]:
    """Every folded record with the one of the file as it is."""
    files = {r.key[:1] + r.key[2:]: r for r in records if r.variant == "file"}
    for record in records:
        if record.variant == "folded":
            yield record, files.get(record.key[:1] + record.key[2:])


def _folded(records: Sequence[Record], core: str) -> list[Record]:
    return [r for r in records if (r.variant, r.core) == ("folded", core)]


def _beside(folded: Sequence[Record], records: Sequence[Record], peers: Sequence[Peer]) -> str:
    head = (
        *("network", "board", "cycles a MAC, folded ", "best published silicon ", "by"),
        *("instructions a MAC, file ", *(f"{name} " for name in _ENGINES)),
    )
    files = dict(_pairs(records))
    return table(head, [_peer_row(record, files[record], peers) for record in folded])


def _peer_row(folded: Record, file: Record | None, peers: Sequence[Peer]) -> tuple[str, ...]:
    best = best_silicon(peers, folded.case, folded.core)
    others = counted(peers, folded.case, folded.core)
    found = [next((p for p in others if p.engine.startswith(name)), None) for name in _ENGINES]
    return (
        folded.case,
        board_name(folded),
        each(folded.cycles, folded.macs),
        each(best[1], folded.macs) if best else NONE,
        f"{best[0].engine} on {best[0].board}" if best else NONE,
        each(file.instructions if file else None, folded.macs),
        *(
            each(p.instructions, folded.macs) + ("*" if p.exact == "no" else "") if p else NONE
            for p in found
        ),
    )


def _memory(records: Sequence[Record], peers: Sequence[Peer]) -> str:
    head = (
        *("network", "board", "as", "arena ", "stack ", "flash ", "code ", "constants "),
        *("harness ", *(f"{name}: RAM, flash " for name in _ENGINES)),
    )
    return table(head, [_sizes(record, peers) for record in records])


def _sizes(r: Record, peers: Sequence[Peer]) -> tuple[str, ...]:
    others = counted(peers, r.case, r.core)
    found = [next((p for p in others if p.engine.startswith(name)), None) for name in _ENGINES]
    sizes = (r.arena_bytes, r.stack_bytes, r.flash_bytes, r.code_bytes, r.constant_bytes)
    theirs = (f"{whole(p.ram_bytes)}, {whole(p.flash_bytes)}" if p else NONE for p in found)
    return (r.case, board_name(r), r.variant, *map(whole, (*sizes, r.harness_bytes)), *theirs)
