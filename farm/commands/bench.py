"""`tinyrack bench`: measure an exported network on the rack."""

from argparse import Namespace
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from engine.cmodel import CModel
from engine.emit import emit
from engine.errors import EngineError
from farm.cli import exit_code
from farm.errors import FarmError
from farm.inventory import Board, Rack, load_rack, select
from farm.job import Job
from farm.manager import BoardManager
from farm.measure import Measurement
from farm.model_file import expected_output, load_input, load_model, model_name
from farm.output import COST_COLUMNS, JobProgress, cost_row, note, print_json, print_table

EXIT_OUT_OF_TOLERANCE = 1
Group = tuple[Board, ...]


def run(args: Namespace) -> int:
    """One row a board type (or a board); 1 when an output is wrong or an image too big."""
    rack = load_rack(args.boards_file)
    groups = _groups(select(rack, args.boards), each=args.each_board)
    jobs = [_job(args, group) for group in groups]
    outcomes = _measure(args, rack, groups, jobs)
    results = [outcome for outcome in outcomes if isinstance(outcome, Measurement)]
    errors = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    if args.json and (results or len(errors) > 1):
        print_json({"results": [_row(*pair) for pair in zip(groups, outcomes, strict=True)]})
    elif results:
        print_table(model_name(Path(args.model)), COST_COLUMNS, [cost_row(m) for m in results])
    if errors and not results and len(errors) == 1:
        raise errors[0]
    for error in errors:
        note(f"tinyrack: {error}")
    if errors:
        return exit_code(errors[0])
    return 0 if all(m.status == "ok" for m in results) else EXIT_OUT_OF_TOLERANCE


def _groups(boards: Group, *, each: bool) -> list[Group]:
    """The boards among which one job each is shared: those of a type, or every one alone."""
    if each:
        return [(board,) for board in boards]
    types = dict.fromkeys(board.type.name for board in boards)
    return [tuple(b for b in boards if b.type.name == name) for name in types]


def _job(args: Namespace, group: Group) -> Job:
    path = Path(args.model)
    graph = load_model(path)
    x = load_input(graph, Path(args.input) if args.input else None, args.seed)
    model: CModel = emit(graph)
    return Job(
        model_name(path),
        model,
        group[0].type.name,
        x.tobytes(),
        expected_output(graph, x),
        args.repeats,
    )


def _measure(
    args: Namespace, rack: Rack, groups: list[Group], jobs: list[Job]
) -> list[Measurement | Exception]:
    boards = [board for group in groups for board in group]
    with (
        JobProgress(len(jobs)) as progress,
        BoardManager(rack, boards, None, args.wait, args.retries, progress) as manager,
    ):
        futures = []
        for group, job in zip(groups, jobs, strict=True):
            only = group[0].id if args.each_board else ""
            futures.append(manager.submit(job, again=args.again, on=only))
        return [_outcome(future) for future in futures]


def _outcome(future: "Future[Measurement]") -> Measurement | Exception:
    try:
        return future.result()  # bounded by the manager: wait, deadline and retries
    except (FarmError, EngineError) as error:
        return error


def _row(group: Group, outcome: Measurement | Exception) -> dict[str, Any]:
    if isinstance(outcome, Measurement):
        return outcome.to_json()
    board = group[0]
    return {
        "board": ",".join(b.id for b in group),
        "board_type": board.type.name,
        "virtual": board.virtual,
        "status": "bench_failure",
        "message": str(outcome),
    }
