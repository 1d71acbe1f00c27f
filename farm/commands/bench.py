"""`tinyrack bench`: measure a network, or the engine's kernels, on the rack."""

from argparse import Namespace
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from engine import chooser
from engine.benchmarks import kernel_suite
from engine.cmodel import CModel
from engine.emit import emit
from engine.errors import EngineError
from farm.cli import exit_code
from farm.commands.bench_kernels import kernel_figures, print_kernels
from farm.errors import FarmError, InventoryError
from farm.job import Job
from farm.manager import BoardManager
from farm.measure import Measurement
from farm.model_file import expected_output, input_bytes, load_input
from farm.network_file import Network as GivenNetwork
from farm.network_file import load_network, network_name
from farm.output import COST_COLUMNS, JobProgress, cost_row, note, print_json, print_table
from farm.rack.inventory import Board, Rack, load_rack
from farm.rack.rack_checks import selected
from farm.store import Store

EXIT_OUT_OF_TOLERANCE = 1
Group = tuple[Board, ...]
Pairs = tuple[tuple[bytes, bytes], ...]
Network = tuple[str, CModel, Pairs]
"""Name, code, and each input with the output to expect."""


def run(args: Namespace) -> int:
    """One row a board type (or a board); 1 when an output is wrong or an image too big."""
    rack = load_rack(args.boards_file)
    groups = _groups(selected(rack, args.boards), each=args.each_board)
    networks = _networks(args)
    work = [(group, _job(args, *network, group)) for group in groups for network in networks]
    outcomes = _measure(args, rack, groups, work)
    results = [outcome for outcome in outcomes if isinstance(outcome, Measurement)]
    errors = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    if args.json and (results or len(errors) > 1):
        rows = [_row(*pair, o, args) for pair, o in zip(work, outcomes, strict=True)]
        print_json({"results": rows})
    elif results and args.model:
        print_table(network_name(Path(args.model)), COST_COLUMNS, [cost_row(m) for m in results])
        _print_layers(networks[0][1], [m for m in results if m.layer_cycles])
    elif results:
        pairs = zip(work, outcomes, strict=True)
        print_kernels([(job, m) for (_, job), m in pairs if isinstance(m, Measurement)])
    if errors and not results and len(errors) == 1:
        raise errors[0]
    failed = [m.message or m.status for m in results if m.status != "ok"]
    for trouble in (*errors, *failed):
        note(f"tinyrack: {trouble}")
    if errors:
        return exit_code(errors[0])
    return 0 if all(m.status == "ok" for m in results) else EXIT_OUT_OF_TOLERANCE


def _print_layers(model: CModel, timed: Sequence[Measurement]) -> None:
    """Where the cycles go, board by board."""
    columns = ("# ", "layer", "MACs ", *(f"{m.board} " for m in timed))
    rows = [
        (i, layer.name, f"{layer.macs:,}", *(f"{m.layer_cycles[i]:,}" for m in timed))
        for i, layer in enumerate(model.layers)
    ]
    if timed:
        print_table("cycles by layer", columns, rows)


def _groups(boards: Group, *, each: bool) -> list[Group]:
    """The boards among which one job each is shared: those of a type, or every one alone."""
    if each:
        return [(board,) for board in boards]
    types = dict.fromkeys(board.type.name for board in boards)
    return [tuple(b for b in boards if b.type.name == name) for name in types]


def _networks(args: Namespace) -> list[Network]:
    """The network asked for or, without one, every case of the kernel suite."""
    if args.model is None and args.input:
        raise InventoryError("--input needs a NET: the kernels are timed on inputs of their own")
    networks = []
    for network in _given(args):
        name = network_name(Path(args.model)) if args.model else network.given.name
        selection = chooser.select(network.graph, args.mode)
        networks.append((name, emit(network.graph, selection=selection), _pairs(args, network)))
    return networks


def _pairs(args: Namespace, network: GivenNetwork) -> Pairs:
    """Inputs and outputs; what is expected is of the file, not of what it was rewritten to."""
    first = load_input(network.given, Path(args.input) if args.input else None, args.seed)
    more = (load_input(network.given, None, args.seed + n) for n in range(1, args.inputs))
    return tuple(
        (input_bytes(network.given, inputs), expected_output(network.given, inputs))
        for inputs in (first, *more)
    )


def _given(args: Namespace) -> list[GivenNetwork]:
    if args.model:
        return [load_network(Path(args.model), rewritten=not args.no_rewrite)]
    return [GivenNetwork(graph, graph) for graph in kernel_suite()]


def _job(args: Namespace, name: str, model: CModel, pairs: Pairs, group: Group) -> Job:
    (first, expected), *further = pairs
    return Job(
        name,
        model,
        group[0].type.name,
        first,
        expected,
        args.repeats,
        args.compiler,
        "final" if args.final else "search",
        further=tuple(further),
    )


def _measure(
    args: Namespace, rack: Rack, groups: list[Group], work: Sequence[tuple[Group, Job]]
) -> list[Measurement | Exception]:
    boards = [board for group in groups for board in group]
    with (
        JobProgress(len(work)) as progress,
        Store(args.store, rack=rack) as store,
        BoardManager(rack, boards, store, args.wait, args.retries, progress) as manager,
    ):
        futures = []
        for group, job in work:
            only = group[0].id if args.each_board else ""
            futures.append(manager.submit(job, again=args.again, on=only))
        return [_outcome(future) for future in futures]


def _outcome(future: "Future[Measurement]") -> Measurement | Exception:
    try:
        return future.result()  # bounded by the manager: wait, deadline and retries
    except (FarmError, EngineError) as error:
        return error


def _row(
    group: Group, job: Job, outcome: Measurement | Exception, args: Namespace
) -> dict[str, Any]:
    if isinstance(outcome, Measurement):
        about = {} if args.model else kernel_figures(job, outcome)
        return outcome.to_json() | about | {"mode": args.mode}
    board = group[0]
    return {
        "name": job.name,
        "board": ",".join(b.id for b in group),
        "board_type": board.type.name,
        "virtual": board.virtual,
        "mode": args.mode,
        "status": "bench_failure",
        "message": str(outcome),
    }
