"""Pytest fixtures and markers for HIL suites."""
