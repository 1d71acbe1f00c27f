import sys
from pathlib import Path

import pytest

from nas.space import SearchSpace, Stage

HERE = str(Path(__file__).parent)
if HERE not in sys.path:
    sys.path.append(HERE)  # for made_up, which several tests here share


@pytest.fixture(autouse=True)
def _own_state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def small_space():
    """Every kind of gene, two choices each; a skip is allowed in the very first block."""
    return SearchSpace(
        input_channels=1, classes=3, resolutions=(8, 12), stem_channels=8,
        stages=(Stage(8, 1, (1, 2)), Stage(16, 2, (1, 3))), head_channels=16,
        widths=(0.5, 1.0), kernels=(3, 5), expansions=(2, 3),
    )  # fmt: skip
