"""Every farm test has its own state folder and leaves no daemon behind.

All share one cache: what is in it is found by the hash of its inputs, so the harness and the
native hook are compiled once.
"""

import hashlib
import sys
from pathlib import Path

import pytest

from farm.measure import Measurement
from farm.rack.inventory import Board, Rack, load_rack

ROOT = Path(__file__).parents[2]
HERE = str(Path(__file__).parent)
sys.path.append(HERE)  # for `scripted`, which worker processes import too


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def private_dirs(tmp_path, shared_cache, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(shared_cache))
    monkeypatch.delenv("TINYRACK_BOARDS", raising=False)
    return tmp_path


@pytest.fixture
def rack() -> Rack:
    return load_rack(ROOT / "boards.yaml")


@pytest.fixture
def board(rack) -> Board:
    return rack.boards[0]


@pytest.fixture
def write_rack(tmp_path):
    """Write the text as a rack file and return its path."""

    def write(text: str) -> Path:
        path = tmp_path / "boards.yaml"
        path.write_text(text)
        return path

    return write


@pytest.fixture
def scripted_path(monkeypatch):
    """Let worker processes import the scripted job runner of these tests."""
    monkeypatch.setenv("PYTHONPATH", HERE)


def measurement(**changes) -> Measurement:
    values = {
        "name": "net",
        "status": "ok",
        "board": "f412-01",
        "board_type": "nucleo-f412zg",
        "virtual": True,
        "output_ok": True,
        "samples": (100, 100, 101),
        "cycles": 100,
        "cold_cycles": 120,
        "clock_hz": 100_000_000,
        "image_key": "k",
        "input_sha256": hashlib.sha256(b"in").hexdigest(),
        "expected_sha256": hashlib.sha256(b"out").hexdigest(),
        "timing_model": "m4-v1",
    }
    return Measurement(**(values | changes))


@pytest.fixture(name="measurement")
def measurement_fixture():
    return measurement
