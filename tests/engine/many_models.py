"""Many generated libraries in one, since a compiler's start costs more than a small network."""

import ctypes

from kernel_cases import kernel_files

from engine.host import WARNING_FLAGS
from engine.toolchain import build_shared


def joined(models, name):
    """One library of the CModels by prefix: `<prefix>_run` is the `tinyrack_run` of each."""
    return ctypes.CDLL(str(build_shared(joined_files(models), name, WARNING_FLAGS)))


def joined_files(models):
    """Its files: every kernel there is, compiled once for all tests, and one file a model."""
    own = {f"{prefix}.c": _renamed(model, prefix) for prefix, model in models.items()}
    return {**kernel_files(), **own}


def _renamed(model, prefix):
    """The model's own files as one, under other names."""
    text = model.files["model.c"].replace('#include "model.h"\n', model.files["model.h"])
    return text.replace("tinyrack_", f"{prefix}_")
