"""`tinyrack report`: the report of a finished search, written anew."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from farm.output import print_json, print_line
from nas.report import write_report


def run(args: Namespace) -> int:
    """Write report.html and report.png into the run's directory."""
    path = Path(args.run_dir)
    if not path.exists():
        path = Path(args.runs) / args.run_dir
    write_report(path)
    if args.json:
        print_json({"html": str(path / "report.html"), "png": str(path / "report.png")})
    else:
        print_line(str(path / "report.html"))
    return 0
