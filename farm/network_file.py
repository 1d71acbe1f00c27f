"""A network given on the command line: a .tflite file or an exported network, ready to compile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from engine.graph import Graph
from engine.graph_file import SUFFIX, load_graph
from engine.load.tflite import load_tflite
from engine.rewrite import rewrite
from farm.errors import InventoryError

TFLITE = ".tflite"
READERS = {TFLITE: load_tflite, SUFFIX: load_graph}


@dataclass(frozen=True, eq=False)
class Network:
    """given: as the file has it, which says what the output must be; graph: what is compiled.

    rewrites: name -> how often, of what turned the one into the other; none changes an output.
    """

    given: Graph
    graph: Graph
    rewrites: Mapping[str, int] = field(default_factory=dict)


def load_network(path: Path, *, rewritten: bool = True) -> Network:
    """Read a network by its suffix, and rewrite it unless told otherwise.

    Raises InventoryError for another suffix or no file, GraphError or UnsupportedError for what
    the file holds.
    """
    suffix = _suffix(path)
    if suffix is None:
        raise InventoryError(f"{path}: not a network; its name must end in {' or '.join(READERS)}")
    if not path.is_file():
        raise InventoryError(f"{path}: {'not a file' if path.exists() else 'no such file'}")
    given = READERS[suffix](path)
    if not rewritten:
        return Network(given, given)
    done = rewrite(given)
    return Network(given, done.graph, done.applied)


def network_name(path: Path) -> str:
    """The file's name without its suffix."""
    return path.name.removesuffix(_suffix(path) or "")


def _suffix(path: Path) -> str | None:
    return next((suffix for suffix in READERS if path.name.endswith(suffix)), None)
