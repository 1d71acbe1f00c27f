"""A task and a budget in, a deployable network out."""

import importlib
from typing import TYPE_CHECKING, Any

from nas.errors import install_advice

if TYPE_CHECKING:
    from nas.tinynas import TinyNAS

__all__ = ["TinyNAS"]


def __getattr__(name: str) -> Any:
    """Import the facade when it is asked for: the command line must start without torch."""
    if name in __all__:
        try:
            return getattr(importlib.import_module("nas.tinynas"), name)
        except ModuleNotFoundError as error:
            raise ImportError(install_advice(f"nas.{name}", error)) from error
    raise AttributeError(f"module 'nas' has no attribute {name!r}")
