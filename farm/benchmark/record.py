"""Record: what one case cost on one board type at one commit, and the same as a JSON object."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

from engine.mode import FASTEST, MODES, Mode

Variant = Literal["folded", "file", "kernels"]
VARIANTS: tuple[Variant, ...] = get_args(Variant)
KERNELS = "kernels"
"""The case of the kernel suite, whose layers are its cases."""


_WORDS: Mapping[str, tuple[str, ...]] = {"Variant": VARIANTS, "Mode": MODES}


@dataclass(frozen=True)
class Part:
    """Layers of one kind, or one case of the kernel suite.

    macs: as the file has them, before any rewrite; outputs: bytes that these layers write;
    instructions: None on a real board; kernel: the C function, of a kernel's case only.
    """

    label: str
    macs: int
    outputs: int
    cycles: int
    instructions: int | None = None
    kernel: str = ""


@dataclass(frozen=True, kw_only=True)
class Record:
    """One case of the benchmark.

    variant: `folded`, the network as it is compiled; `file`, without rewrites; `kernels`, the
    suite: sums of cycles, MACs and instructions over its cases, sizes of its largest image.
    cycles: median of warm inferences; instructions: of one, None on a real board; macs: of the
    file. commit has a `+` behind it when sources were changed and not committed. timing_model:
    the cycle table of a virtual board, None on silicon. accepted: why it may be worse than
    before, if somebody said so. mode: of the choice of kernels; records from before there were
    modes have none in their file, and are of the fastest.
    """

    commit: str
    case: str
    variant: Variant
    board_type: str
    core: str
    clock_hz: int
    timing_model: str | None
    compiler: str
    flags: str
    macs: int
    cycles: int
    instructions: int | None
    arena_bytes: int
    stack_bytes: int
    flash_bytes: int
    code_bytes: int
    constant_bytes: int
    parts: tuple[Part, ...] = ()
    accepted: str = ""
    mode: Mode = FASTEST

    @property
    def virtual(self) -> bool:
        """Whether the cycles are a model's."""
        return self.timing_model is not None

    @property
    def key(self) -> tuple[str, ...]:
        """What must be equal for two records to be of the same thing, its versions apart."""
        compiler = self.compiler.rpartition(" ")[0] or self.compiler
        silicon = "virtual" if self.virtual else "silicon"
        return (self.case, self.variant, self.board_type, silicon, compiler, self.mode)

    @property
    def title(self) -> str:
        """For messages."""
        mode = "" if self.mode == FASTEST else f", {self.mode}"
        return f"{self.case} ({self.variant}{mode}) on {self.board_type}"

    @property
    def harness_bytes(self) -> int:
        """Flash that is neither code nor constants of the network."""
        return self.flash_bytes - self.code_bytes - self.constant_bytes

    def to_json(self) -> dict[str, Any]:
        """A dict for json.dumps."""
        return dataclasses.asdict(self) | {"parts": [dataclasses.asdict(p) for p in self.parts]}

    @classmethod
    def from_json(cls, row: object) -> Record:
        """Inverse of to_json; ValueError names the first key that is missing or wrong."""
        known = {"mode": FASTEST, **row} if isinstance(row, Mapping) else row
        values = _checked(known, cls, "a record")
        values["parts"] = tuple(Part(**_checked(p, Part, "a part")) for p in values["parts"])
        if values["code_bytes"] + values["constant_bytes"] > values["flash_bytes"]:
            raise ValueError("flash_bytes is less than code and constants")
        return cls(**values)


def _checked(row: object, kind: type, what: str) -> dict[str, Any]:
    """The keys of a dataclass, each of its type, and no others."""
    if not isinstance(row, Mapping):
        raise ValueError(f"{what} is not a JSON object")
    fields = {f.name: str(f.type) for f in dataclasses.fields(kind)}
    if odd := sorted(set(fields) ^ set(row)):
        raise ValueError(f"key {odd[0]!r} of {what} is {'missing' if odd[0] in fields else 'odd'}")
    for key, wanted in fields.items():
        if not _fits(row[key], wanted):
            raise ValueError(f"{key} of {what} has the wrong value {row[key]!r:.40}")
    return dict(row)


def _fits(value: object, wanted: str) -> bool:
    if value is None:
        return "None" in wanted
    if wanted.startswith("int"):
        whole = isinstance(value, int) and not isinstance(value, bool)
        return whole and cast(int, value) >= 0
    if wanted in _WORDS:
        return value in _WORDS[wanted]
    return isinstance(value, list if wanted.startswith("tuple") else str)
