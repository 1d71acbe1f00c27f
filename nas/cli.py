"""The command line: the farm's sub-commands and the search's."""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn, cast

from farm.cli import (
    EXIT_INTERRUPTED,
    SEED,
    WAIT,
    Option,
    Run,
    Subparsers,
    add_commands,
    add_common,
    boards_option,
    number,
    run_cli,
)
from nas.errors import NasError, install_advice

RUNS = Option(("--runs",), "folder of the run directories", "runs", metavar="DIR")
SEARCH = (
    Option(("--data",), "digits, fashion-mnist or a directory of images", "digits", metavar="D"),
    Option(("--data-dir",), "where the files of fashion-mnist are", metavar="DIR"),
    boards_option("type=nucleo-f412zg"),
    Option(("--sram",), "limit in KiB, 0 for none", 5.0, number(0, 1e6), "KIB"),
    Option(("--flash",), "limit in KiB, 0 for none", 64.0, number(0, 1e6), "KIB"),
    Option(("--latency",), "limit in milliseconds, 0 for none", 8.0, number(0, 1e6), "MS"),
    Option(("--seed",), "the same gives the same winner", 0, number(0, 2**32 - 1, int)),
    Option(("--epochs",), "of the supernet (default: by the data)", None, number(1, 10**4, int)),
    Option(("--fine-tune-epochs",), "of the winner", 20, number(1, 10**4, int), "N"),
    Option(("--name",), "of the run directory (default: by the settings)", metavar="NAME"),
    Option(("--fresh",), "throw away what the run directory holds", default=False),
    RUNS,
)
CALIBRATE = (
    boards_option("all"),
    Option(("--quick",), "fewer networks, a wider bound", default=False),
    SEED,
    WAIT,
)
REPORT = (Option(("run_dir",), "a run's directory or name", metavar="RUN"), RUNS)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one sub-command and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="tinyrack",
        description="Designs neural networks for microcontrollers and proves them on boards.",
    )
    subparsers = parser.add_subparsers(metavar="COMMAND")
    add_commands(subparsers)
    _add(subparsers, "calibrate", "fit the latency model of each board type", CALIBRATE)
    _add(subparsers, "search", "find a network within the limits and export it", SEARCH)
    _add(subparsers, "report", "write the report of a run anew", REPORT)
    code = run_cli(parser, argv, (NasError,))
    if code == EXIT_INTERRUPTED and argv is None:
        _leave(code)
    return code


def _leave(code: int) -> NoReturn:
    """End the process now: everything is closed, and torch takes seconds to be torn down."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _add(subparsers: Subparsers, name: str, text: str, options: Sequence[Option]) -> None:
    parser = subparsers.add_parser(
        name,
        help=text,
        description=text,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add_common(parser)
    for option in options:
        option.add_to(parser)
    parser.set_defaults(run=_lazy(name))


def _lazy(name: str) -> Run:
    """The command's function, imported when it runs: --help and the farm need no torch."""

    def run(args: argparse.Namespace) -> int:
        try:
            with _interrupted_later():
                module = importlib.import_module(f"nas.commands.{name}")
        except ModuleNotFoundError as error:
            raise NasError(install_advice(f"tinyrack {name}", error)) from error
        return cast(Callable[[argparse.Namespace], int], module.run)(args)

    return run


@contextmanager
def _interrupted_later() -> Iterator[None]:
    """Raise what Ctrl-C asks for at the end: amid the C++ of torch's import it aborts the process.

    Where SIGINT is ignored, or left to the system, it stays so.
    """
    old = signal.getsignal(signal.SIGINT)
    if not callable(old) or threading.current_thread() is not threading.main_thread():
        yield
        return
    signals: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: signals.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, old)
        if signals:
            raise KeyboardInterrupt
