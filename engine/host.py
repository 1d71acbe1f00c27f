"""HostModel: a CModel compiled for this machine, to prove that the C is right."""

import ctypes
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from engine.cmodel import CModel
from engine.errors import EngineError
from engine.toolchain import build_shared

WARNING_FLAGS = ("-Wall", "-Wextra", "-Werror")
Int8s = NDArray[np.int8]
Given = Int8s | Mapping[str, Int8s]


class HostModel:
    """``with HostModel(cmodel) as model: y = model.run(x)``; raises ToolchainError on entry.

    What it is given is an int8 [H, W, C] array or, where there are several inputs, one by each
    name.
    """

    def __init__(self, cmodel: CModel) -> None:
        self._cmodel = cmodel
        self._library: ctypes.CDLL | None = None

    def __enter__(self) -> Self:
        self._library = ctypes.CDLL(str(build_shared(self._cmodel.files, "model", WARNING_FLAGS)))
        for name in ("tinyrack_input", "tinyrack_output"):
            getattr(self._library, name).restype = ctypes.c_void_p
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._library = None

    def run(self, given: Given) -> Int8s:
        """The only output, int8 [H, W, C]; EngineError when there are several."""
        if len(self._cmodel.output_names) != 1:
            raise EngineError(f"{self._cmodel.name} has several outputs; run_all gives them")
        return self.run_all(given)[self._cmodel.output_names[0]]

    def run_all(self, given: Given) -> dict[str, Int8s]:
        """Every output by its name."""
        library = self._opened()
        self._load(library, given)
        library.tinyrack_run()
        return self._outputs(library)

    def trace(self, given: Given) -> tuple[dict[str, Int8s], list[int]]:
        """Every output, and the layer numbers in the order in which they were reported done."""
        library = self._opened()
        self._load(library, given)
        seen: list[int] = []
        library.tinyrack_trace(ctypes.CFUNCTYPE(None, ctypes.c_uint32)(seen.append))
        return self._outputs(library), seen

    def _load(self, library: ctypes.CDLL, given: Given) -> None:
        for index, x in enumerate(self._checked(given)):
            ctypes.memmove(library.tinyrack_input(index), x.tobytes(), x.size)

    def _checked(self, given: Given) -> Iterator[Int8s]:
        names = self._cmodel.input_names
        arrays = given if isinstance(given, Mapping) else dict.fromkeys(names[:1], given)
        if set(arrays) != set(names):
            raise EngineError(f"{self._cmodel.name} takes the inputs {', '.join(names)}")
        for name, wanted in zip(names, self._cmodel.input_shapes, strict=True):
            x = arrays[name]
            if x.dtype != np.int8 or x.shape != wanted:
                raise EngineError(
                    f"{self._cmodel.name} takes int8 of shape {wanted} as {name}, not {x.dtype} "
                    f"of {x.shape}"
                )
            yield x

    def _outputs(self, library: ctypes.CDLL) -> dict[str, Int8s]:
        outputs: dict[str, Int8s] = {}
        for index, name in enumerate(self._cmodel.output_names):
            out = np.empty(self._cmodel.output_shapes[index], np.int8)
            ctypes.memmove(out.ctypes.data, library.tinyrack_output(index), out.size)
            outputs[name] = out
        return outputs

    def _opened(self) -> ctypes.CDLL:
        if self._library is None:
            raise EngineError("a HostModel runs inside of its with block only")
        return self._library
