import sys
from pathlib import Path

import pytest

HERE = str(Path(__file__).parent)
if HERE not in sys.path:
    sys.path.append(HERE)  # for engine_nets and engine_arm, which several tests here share


@pytest.fixture
def empty_cache(monkeypatch, tmp_path):
    """A compiler cache of this test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path
