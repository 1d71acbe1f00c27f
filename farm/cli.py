"""The farm's part of the command line, and the one place where errors become exit codes."""

import argparse
import errno
import importlib
import io
import sys
import traceback
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, cast

from engine.compilers import COMPILERS, DEFAULT
from engine.errors import EngineError, ToolchainError
from engine.mode import FASTEST, MODES
from farm import log
from farm.errors import FarmError
from farm.output import drop_output, print_error, print_json

EXIT_USAGE = 2
EXIT_INTERRUPTED = 130
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_DEFAULTS = {"json": False, "debug": False, "boards_file": None}
Run = Callable[[argparse.Namespace], int]
Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


@dataclass(frozen=True)
class Option:
    """One flag or argument of a sub-command."""

    names: tuple[str, ...]
    help: str
    default: object = None
    kind: Callable[[str], object] | None = None
    metavar: str | None = None
    required: bool = False
    many: bool = False
    optional: bool = False

    def add_to(self, parser: argparse.ArgumentParser) -> None:
        """Declare the option on a parser; a default of False makes it a switch."""
        if self.default is False:
            parser.add_argument(*self.names, action="store_true", help=self.help)
            return
        options: dict[str, Any] = {"help": self.help, "metavar": self.metavar}
        options |= {"default": self.default, "type": self.kind or str}
        if self.names[0].startswith("-"):
            options["required"] = self.required
        if self.many:
            options["nargs"] = "+"
        if self.optional:
            options["nargs"] = "*" if self.many else "?"
        parser.add_argument(*self.names, **options)


def number(low: float, high: float, kind: Callable[[str], float] = float) -> Callable[[str], float]:
    """A parser of numbers from low to high, for argparse."""

    def parse(text: str) -> float:
        value = kind(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} is not from {low} to {high}")
        return value

    parse.__name__ = "number"
    return parse


def one_of(names: Collection[str]) -> Callable[[str], str]:
    """A parser of one of these names, for argparse."""

    def parse(text: str) -> str:
        if text not in names:
            raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(names)}")
        return text

    return parse


def add_common(parser: argparse.ArgumentParser) -> None:
    """Add what every sub-command takes; absent flags leave the namespace alone."""
    parser.allow_abbrev = False  # or --boards would pass for --boards-file
    quiet = argparse.SUPPRESS
    add = parser.add_argument
    add("--json", action="store_true", default=quiet, help="print one JSON object")
    add("--debug", action="store_true", default=quiet, help="show the traceback of an error")
    add("--boards-file", default=quiet, metavar="FILE", help="the rack (default: boards.yaml)")


def boards_option(default: str | None) -> Option:
    """--boards SELECTOR, required without a default."""
    text = "ids, type=..., tag=value, virtual or all, separated by commas"
    return Option(
        ("--boards",), text, default=default, metavar="SELECTOR", required=default is None
    )


NETWORK = "an int8 .tflite file, or an exported network (.tinyrack.npz)"
MODEL = Option(("model",), NETWORK, metavar="NET")
NO_REWRITE = Option(("--no-rewrite",), "compile the network as the file has it", default=False)
COMPILER = Option(
    ("--compiler",), "zig, or gcc: arm-none-eabi-gcc", DEFAULT, one_of(COMPILERS), "NAME"
)
MODE = Option(("--mode",), f"of kernels: {', '.join(MODES)}", FASTEST, one_of(MODES), "MODE")
WAIT = Option(("--wait",), "seconds to wait for busy boards", 60.0, number(0, 86400), "S")
STORE = Option(("--store",), "a results.db or postgresql://... (default: the rack's)", metavar="DB")
SEED = Option(("--seed",), "of the random input", 0, number(0, 2**32 - 1, int), "N")
BENCH = (
    Option(
        ("model",),
        f"{NETWORK}; without one, every kernel of the engine",
        metavar="NET",
        optional=True,
    ),
    boards_option("all"),
    Option(
        ("--input",),
        "int8 or float32 [H, W, C] as .npy, or as .npz by the names of inputs (default: random)",
        metavar="FILE",
    ),
    SEED,
    Option(("--inputs",), "different inputs, random but for --input", 1, number(1, 16, int), "N"),
    Option(("--final",), "a figure to publish: more samples, a longer look at the clock", False),
    Option(("--repeats",), "timed inferences at least", 5, number(1, 61, int), "N"),
    Option(("--retries",), "further attempts after a bench failure", 2, number(0, 20, int), "N"),
    WAIT,
    Option(("--each-board",), "measure on every board, not once a type", default=False),
    Option(("--again",), "measure even what is stored", default=False),
    STORE,
    NO_REWRITE,
    MODE,
    COMPILER,
)
COMPILE = (
    MODEL,
    Option(("--mcu",), "the microcontroller to build for", metavar="MCU", required=True),
    Option(("--out",), "folder for the C library", metavar="DIR", required=True),
    NO_REWRITE,
    MODE,
    COMPILER,
)
BOARD_ID = Option(("board",), "a board's id", metavar="ID")
MAP = Option(("file",), "the hardware map, a YAML file", metavar="MAP")
REASON = Option(("--reason",), "shown to whoever wants the board", "by an operator")
RESTORE = (
    BOARD_ID,
    Option(("--force",), "without a golden run that shows it in order", default=False),
    WAIT,
)
EVEN_HELD = Option(("--force",), "even boards that are held", default=False)
POWER = (
    Option(("board",), "ids of boards, then off, on or cycle (default)", metavar="ID", many=True),
    WAIT,
)
ONCE = Option(("--once",), "show it once", default=False)
TOP = (
    STORE,
    ONCE,
    Option(("--interval",), "seconds between two looks", 1.0, number(0.1, 3600), "S"),
)
METRICS = (
    STORE,
    ONCE,
    Option(("--port",), "of the HTTP server; 0 takes a free one", 9477, number(0, 65535, int), "N"),
    Option(("--address",), "to listen at", "127.0.0.1", metavar="ADDRESS"),
)
FAULT = (
    Option(("board",), "a board's id", metavar="ID", optional=True),
    Option(("kind",), "what goes wrong; --list-kinds lists it", metavar="KIND", optional=True),
    Option(("settings",), "its parameters", (), metavar="KEY=VALUE", many=True, optional=True),
    Option(("--seed",), "of what the fault leaves to chance", 0, number(0, 2**32 - 1, int), "N"),
    Option(("--clear",), "end all faults of the board", default=False),
    Option(("--list",), "show what is wrong with it (the default)", default=False),
    Option(("--list-kinds",), "show every kind of fault with its parameters", default=False),
)
OF_BOARD = Option(("--board",), "of this board alone", metavar="ID")
RESULTS = (
    STORE,
    OF_BOARD,
    Option(("--type",), "of this type of boards alone", metavar="TYPE"),
    Option(("--status",), "ok, wrong_output, too_big or bench_failure", metavar="STATUS"),
    Option(("--name",), "of networks of this name; * stands for any letters", metavar="NAME"),
    Option(("--since",), "from this time on, such as 2026-11-22 (UTC)", metavar="TIME"),
    Option(("--until",), "before this time", metavar="TIME"),
    Option(("--virtual",), "of virtual boards alone", default=False),
    Option(("--silicon",), "of real boards alone", default=False),
    Option(("--flagged",), "those that were flagged alone", default=False),
    Option(
        ("--limit",),
        "the newest N (default: 50 in a table, else all)",
        None,
        number(1, 10**9, int),
        "N",
    ),
    Option(("--csv",), "write them into FILE instead", metavar="FILE"),
    Option(("--parquet",), "the same as Parquet (needs tinyrack[parquet])", metavar="FILE"),
)
# Behind an action the same flags leave alone what stood before it.
STORE_TOO, BOARD_TOO = (replace(option, default=argparse.SUPPRESS) for option in RESULTS[:2])
NUMBER = Option(("number",), "a measurement's id", None, number(1, 2**63 - 1, int), "N")
VERIFY = Option(("--verify",), "check that nothing was changed or removed", default=False)
ELF = Option(("elf",), "the image to program", metavar="ELF")
SECONDS = Option(("--seconds",), "stop after so long", None, number(0, 86400), "S")


def add_commands(subparsers: Subparsers) -> None:
    """Register the farm's sub-commands; each sets `run: Callable[[Namespace], int]`."""
    what = "what is there: state, health, who holds it, golden run, wear, last measurement"
    boards = _add(subparsers, "boards", what, None, boards_option(""), STORE)
    more = boards.add_subparsers(metavar="ACTION")
    what = "all about one board, with its last recoveries and golden runs"
    _add(more, "show", what, "boards_show:run", BOARD_ID, STORE_TOO)
    _add(more, "check", "validate the rack file", "boards:check")
    _add(more, "scan", "find probes and ports and propose entries", "scan:scan")
    what = "propose entries for the boards of a Zephyr hardware map"
    _add(more, "import", what, "boards_files:import_map", MAP)
    what = "the configuration of a labgrid exporter for the real boards"
    _add(more, "export", what, "boards_files:export")
    _add(more, "schema", "the JSON Schema of boards.yaml, for editors", "boards_files:schema")
    _add(more, "release", "take a board from its holder", "boards_service:release", BOARD_ID)
    what = "put a board out of service"
    _add(more, "quarantine", what, "boards_service:quarantine", BOARD_ID, REASON)
    _add(more, "restore", "put a board back into service", "boards_service:restore", *RESTORE)
    what = "the rack live: boards, who holds them, what they are at, throughput"
    _add(subparsers, "top", what, None, boards_option(""), *TOP)
    what = "the rack for Prometheus, over HTTP"
    _add(subparsers, "metrics", what, None, boards_option(""), *METRICS)
    rack = subparsers.add_parser("rack", help="the virtual rack").add_subparsers(
        metavar="ACTION", required=True
    )
    _add(rack, "up", "start virtual boards", "rack:up", boards_option("virtual"))
    what = "end virtual boards that nobody holds"
    _add(rack, "down", what, "rack:down", boards_option(""), EVEN_HELD)
    _add(rack, "status", "which virtual boards are up", "rack:status", boards_option(""))
    _add(rack, "power", "switch virtual boards off or on", "rack:power", *POWER)
    _add(rack, "fault", "let something go wrong with a board", "rack_fault:run", *FAULT)
    results = _add(
        subparsers, "results", "stored measurements: list, export, audit", None, *RESULTS
    )
    more = results.add_subparsers(metavar="ACTION")
    _add(more, "show", "one measurement and how it was made", "results:show", NUMBER, STORE_TOO)
    what = "who did what to which board"
    _add(more, "audit", what, "results:audit", BOARD_TOO, VERIFY, STORE_TOO)
    what = "what was tried on boards that failed"
    _add(more, "recoveries", what, "results:recoveries", BOARD_TOO, STORE_TOO)
    _add(more, "golden", "how the golden images ran", "results:golden", BOARD_TOO, STORE_TOO)
    _add(subparsers, "flash", "program an image and verify it", None, ELF, boards_option(None))
    _add(subparsers, "monitor", "show consoles", None, boards_option(None), SECONDS, WAIT)
    _add(subparsers, "compile", "a network as a C library, with its cost", None, *COMPILE)
    what = "measure a network on the rack and compare its output with the reference"
    _add(subparsers, "bench", what, None, *BENCH)


def run_cli(
    parser: argparse.ArgumentParser,
    argv: Sequence[str] | None = None,
    roots: tuple[type[Exception], ...] = (),
) -> int:
    """Parse, run, and turn every expected error into one line and an exit code.

    `roots` are further error roots to expect; their `exit_code` is used (default 1).
    """
    if sys.stdout is None:  # closed by whoever started this
        sys.stdout = io.StringIO()
    args = _parse(parser, sys.argv[1:] if argv is None else argv)
    run = cast(Run | None, getattr(args, "run", None))
    if run is None:
        parser.print_help(sys.stderr)
        return EXIT_USAGE
    expected: tuple[type[Exception], ...] = (FarmError, EngineError, OSError, *roots)
    log.to_file()
    try:
        return run(args)
    except KeyboardInterrupt:
        print_error(args, "interrupted; every board is released", EXIT_INTERRUPTED)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        drop_output()  # whoever read it has left
        return 1
    except expected as error:
        if args.debug:
            traceback.print_exc()
        code = exit_code(error)
        print_error(args, _sentence(error), code)
        return code


def exit_code(error: Exception) -> int:
    """2 for a file or command that is wrong, 70 for tools and disks, else the error's own."""
    no_room = isinstance(error, OSError) and error.errno in _NO_ROOM
    if no_room or isinstance(error, ToolchainError):
        return 70
    if isinstance(error, EngineError | OSError):
        return 2
    return int(getattr(error, "exit_code", 1))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the farm's sub-commands alone (the `tinyrack` command adds the search's)."""
    parser = argparse.ArgumentParser(prog="tinyrack", description=__doc__)
    add_commands(parser.add_subparsers(metavar="COMMAND"))
    return run_cli(parser, argv)


def _parse(parser: argparse.ArgumentParser, argv: Sequence[str]) -> argparse.Namespace:
    """The arguments; a command line that is wrong ends here, with --json in an object too."""
    try:
        return parser.parse_args(argv, argparse.Namespace(**_DEFAULTS))
    except SystemExit as end:
        if end.code and "--json" in argv:
            advice = "the command line is wrong; standard error says where"
            print_json({"error": advice, "exit_code": EXIT_USAGE})
        raise


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        return "standard output or a file could not be written: the disk is full; make room"
    return " ".join(str(error).split("\n")[0].split()) or type(error).__name__


def _add(
    subparsers: Subparsers, name: str, text: str, target: str | None = None, *options: Option
) -> argparse.ArgumentParser:
    parser = subparsers.add_parser(name, help=text, description=text)
    add_common(parser)
    for option in options:
        option.add_to(parser)
    parser.set_defaults(run=_lazy(target or f"{name}:run"))
    return parser


def _lazy(target: str) -> Run:
    """A command that imports its module when it runs, so that --help stays fast."""
    module, _, function = target.partition(":")

    def run(args: argparse.Namespace) -> int:
        found = getattr(importlib.import_module(f"farm.commands.{module}"), function)
        return cast(Run, found)(args)

    return run


if __name__ == "__main__":
    sys.exit(main())
