"""The results database: every measurement ever made, and what was done to the boards."""

from farm.store.store import Store

__all__ = ["Store"]
