"""State of its own for every test, and no daemon left behind by one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from farm.virtual import rack


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    yield
    rack.down()
