"""Many generated libraries in one, since a compiler's start costs more than a small network."""

import ctypes

from engine.host import WARNING_FLAGS
from engine.toolchain import build_shared

FLAGS = (*WARNING_FLAGS, "-O1")  # the networks are many and the calls few: half the compile time


def joined(models, name):
    """One library of the CModels by prefix: `<prefix>_run` is the `tinyrack_run` of each."""
    files = {}
    for prefix, model in models.items():
        kernels = {name: text for name, text in model.files.items() if "model." not in name}
        files |= kernels | _renamed(model, prefix)
    return ctypes.CDLL(str(build_shared(files, name, FLAGS)))


def _renamed(model, prefix):
    """The model's own files under other names."""
    files = {}
    for name in ("model.c", "model.h"):
        text = (
            model.files[name]
            .replace("tinyrack_", f"{prefix}_")
            .replace('"model.h"', f'"{prefix}.h"')
        )
        files[name.replace("model", prefix)] = text
    return files
