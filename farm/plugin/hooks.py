"""Hooks that a conftest.py may implement to follow what happens to boards; see docs/hil.md."""

import pytest


@pytest.hookspec()
def pytest_farm_board_acquired(config: pytest.Config, board: object, token: int) -> None:
    """Called when this process begins to hold a board for tests, with its lease's token."""


@pytest.hookspec()
def pytest_farm_board_released(config: pytest.Config, board: object) -> None:
    """Called when this process gave a board back."""


@pytest.hookspec()
def pytest_farm_board_quarantined(config: pytest.Config, board_id: str, why: str) -> None:
    """Called when a board was put out of service while a test used it."""
