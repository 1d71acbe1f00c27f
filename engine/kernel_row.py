"""KernelRow: everything the engine knows about one C kernel, side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from engine.graph import Graph, Op

Features = Mapping[str, float]


@dataclass(frozen=True)
class Table:
    """A constant array of an operator, in flash.

    field: the struct's member that points to it; text: its C definition under the given name;
    byte_count: its size on a board.
    """

    field: str
    text: Callable[[str], str]
    byte_count: int


@dataclass(frozen=True)
class Description:
    """What a kernel is told about its operator: a constant C struct and the tables it points to.

    struct_bytes: of the struct on a 32-bit machine, pointers included.
    """

    c_type: str
    fields: Mapping[str, int | str]
    struct_bytes: int
    tables: tuple[Table, ...] = ()

    @property
    def const_bytes(self) -> int:
        """Flash that the operator takes beside code."""
        return self.struct_bytes + sum(table.byte_count for table in self.tables)


def never(_graph: Graph, _op: Op) -> int | None:
    """`lead_bytes` of a kernel whose output may not share memory with its input."""
    return None


def in_place(_graph: Graph, _op: Op) -> int:
    """`lead_bytes` of a kernel that writes no byte before it has read all up to that one."""
    return 0


def no_scratch(_graph: Graph, _op: Op) -> int:
    """`scratch_bytes` of a kernel that needs none."""
    return 0


def in_order(_graph: Graph, op: Op) -> tuple[str, ...]:
    """`inputs` of a kernel that takes them as the operator names them."""
    return op.inputs


def always(_graph: Graph, _op: Op) -> bool:
    """`accepts` of a kernel that takes every operator of its kind."""
    return True


@dataclass(frozen=True)
class KernelRow:
    """One C kernel: ``void c_name(const c_type *op, inputs..., int8_t *out[, void *scratch])``.

    kind: of operator; source: its file in engine/kernels, with what that includes in `headers`;
    accepts: whether it computes an operator of its kind exactly;
    features: the work of its loops, for the latency model;
    describe: the constants that it reads;
    scratch_bytes: of the arena, while it runs; takes_scratch: whether it has that argument;
    inputs: tensor names in the order of its arguments;
    lead_bytes: how far, at least, the input that dies here must lie above the output (offset of
    input less offset of output, >= 0) for the two to share memory; None: they must not. It holds
    for every input of the output's own size, and for the only input of operators with one;
    lead_is_exact: whether that distance must be met, and one above it will not do: the kernel
    visits the whole output several times, a few channels at a time, and each byte of it must lie
    on a channel of the input that it has just read;
    packs_inputs: whether its inputs come as one constant array of pointers, whatever their number:
    ``void c_name(const c_type *op, const int8_t *const *inputs, int8_t *out)``; `struct_bytes` of
    its description counts that array;
    plain: whether it is a plain twin.
    """

    c_name: str
    kind: str
    source: str
    accepts: Callable[[Graph, Op], bool]
    features: Callable[[Graph, Op], Features]
    describe: Callable[[Graph, Op], Description]
    scratch_bytes: Callable[[Graph, Op], int] = no_scratch
    lead_bytes: Callable[[Graph, Op], int | None] = never
    lead_is_exact: bool = False
    inputs: Callable[[Graph, Op], tuple[str, ...]] = in_order
    takes_scratch: bool = False
    packs_inputs: bool = False
    plain: bool = False
    headers: tuple[str, ...] = ()

    @property
    def files(self) -> tuple[str, ...]:
        """Every file that the kernel's source needs, itself included."""
        return ("arch.h", "kernels.h", "scale.h", self.source, *self.headers)
