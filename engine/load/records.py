"""What a .tflite file says, as plain values: bounded and whole, but not yet understood."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tflite
from numpy.typing import NDArray

TYPE_NAMES: dict[int, str] = {
    value: name.lower() for name, value in vars(tflite.TensorType).items() if isinstance(value, int)
}


@dataclass(frozen=True, eq=False)
class TensorRecord:
    """One tensor of the file; `data` (uint8) is None for one that is not constant.

    `trait` is what makes it unusable ("is sparse"), or empty.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: int
    data: NDArray[np.uint8] | None
    scales: NDArray[np.float32]
    zero_points: NDArray[np.int64]
    quantized_dimension: int
    trait: str

    @property
    def type_name(self) -> str:
        """The element type as people write it: int8, float32."""
        return TYPE_NAMES.get(self.dtype, f"type {self.dtype}")

    @property
    def elements(self) -> int:
        """How many elements the shape has."""
        return math.prod(self.shape)


@dataclass(frozen=True, eq=False)
class OperatorRecord:
    """One operator of the file; `options` by the names of the schema's accessors."""

    index: int
    code: int
    name: str
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class FileRecord:
    """The main subgraph of a file: operators in order, and each tensor that anybody names."""

    operators: tuple[OperatorRecord, ...]
    tensors: Mapping[int, TensorRecord]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
