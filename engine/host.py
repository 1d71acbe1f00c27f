"""HostModel: a CModel compiled for this machine, to prove that the C is right."""

import ctypes
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from engine.cmodel import CModel
from engine.errors import EngineError
from engine.toolchain import build_shared

WARNING_FLAGS = ("-Wall", "-Wextra", "-Werror")


class HostModel:
    """``with HostModel(cmodel) as model: y = model.run(x)``; raises ToolchainError on entry."""

    def __init__(self, cmodel: CModel) -> None:
        self._cmodel = cmodel
        self._library: ctypes.CDLL | None = None

    def __enter__(self) -> Self:
        self._library = ctypes.CDLL(str(build_shared(self._cmodel.files, "model", WARNING_FLAGS)))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._library = None

    def run(self, x: NDArray[np.int8]) -> NDArray[np.int8]:
        """The network's output, int8 [H, W, C], for one int8 [H, W, C] input."""
        source, out = self._buffers(x)
        self._opened().tinyrack_invoke(_pointer(source), _pointer(out))
        return out

    def trace(self, x: NDArray[np.int8]) -> tuple[NDArray[np.int8], list[int]]:
        """The output, and the layer numbers in the order in which they were reported done."""
        source, out = self._buffers(x)
        seen: list[int] = []
        after = ctypes.CFUNCTYPE(None, ctypes.c_uint32)(seen.append)
        self._opened().tinyrack_trace(_pointer(source), _pointer(out), after)
        return out, seen

    def _buffers(self, x: NDArray[np.int8]) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
        wanted = self._cmodel.input_shape
        if x.dtype != np.int8 or x.shape != wanted:
            raise EngineError(
                f"{self._cmodel.name} takes int8 of shape {wanted}, not {x.dtype} of {x.shape}"
            )
        return np.ascontiguousarray(x), np.empty(self._cmodel.output_shape, np.int8)

    def _opened(self) -> ctypes.CDLL:
        if self._library is None:
            raise EngineError("a HostModel runs inside of its with block only")
        return self._library


def _pointer(array: NDArray[np.int8]) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)
