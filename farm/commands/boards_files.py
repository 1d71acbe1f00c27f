"""`tinyrack boards import|export|schema`: other forms of a rack."""

from argparse import Namespace
from importlib.resources import files
from pathlib import Path

from farm.output import note, print_json, print_line
from farm.rack.inventory import find_rack, load_rack
from farm.rack.labgrid_file import exporter_file
from farm.rack.zephyr_map import read_map


def import_map(args: Namespace) -> int:
    """Print entries for the boards of a Zephyr hardware map."""
    found = read_map(Path(args.file), find_rack(args.boards_file))
    doubts = [doubt for each in found for doubt in each.doubts]
    for doubt in doubts:
        note(f"warning: {doubt}")
    if args.json:
        rows = [{"entry": each.line.strip(), "doubts": list(each.doubts)} for each in found]
        print_json({"results": rows})
        return 0
    print_line("# for the list `boards:` of boards.yaml")
    for each in found:
        if each.line:
            print_line(each.line)
    return 0


def export(args: Namespace) -> int:
    """Print the configuration of a labgrid exporter for the real boards."""
    text, doubts = exporter_file(load_rack(args.boards_file))
    for doubt in doubts:
        note(f"warning: {doubt}")
    if args.json:
        print_json({"results": [{"format": "labgrid", "text": text, "warnings": doubts}]})
    else:
        print_line(text.rstrip("\n"))
    return 0


def schema(args: Namespace) -> int:
    """Print the JSON Schema of boards.yaml."""
    del args
    print_line((files("farm") / "boards.schema.json").read_text(encoding="utf-8").rstrip("\n"))
    return 0
