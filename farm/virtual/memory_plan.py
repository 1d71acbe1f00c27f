"""What a block fetches and accesses, made ready for counting: the structures of native/memory.h."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from dataclasses import dataclass, field

from farm.virtual.accesses import Access
from farm.virtual.affine import SP
from farm.virtual.caches import CacheState
from farm.virtual.decode import Block

NO_REGISTER = 15
_WORD = ctypes.c_uint32
_SIGN, _SPACE = 1 << 31, 1 << 32
_Terms = tuple[tuple[int, int], ...]


class Region(ctypes.Structure):
    """`struct region`: memory that does not answer at once, as code or data."""

    _fields_ = (
        *((name, _WORD) for name in ("base", "size", "origin")),
        *((name, _WORD) for name in ("stall", "row_cycles", "allocates")),
        ("cache", ctypes.POINTER(CacheState)),
    )


class Group(ctypes.Structure):
    """`struct group`: loads or stores of a block that differ in a constant alone."""

    _fields_ = (
        ("offset", _WORD),
        ("last", _WORD),
        ("registers", ctypes.c_uint8 * 2),
        ("shifts", ctypes.c_uint8 * 2),
        ("store", ctypes.c_uint16),
        ("beats", ctypes.c_uint16),
        ("slot", _WORD),
    )


class Plan(ctypes.Structure):
    """`struct plan`: one block's fetch and its groups."""

    _fields_ = (
        ("memory", ctypes.c_void_p),
        ("code", ctypes.POINTER(Region)),
        ("seen", ctypes.c_void_p),
        ("losses", ctypes.c_uint64),
        ("touched", ctypes.c_uint64),
        ("next", ctypes.c_void_p),
        ("groups", ctypes.POINTER(Group)),
        *((name, _WORD) for name in ("start", "last", "lines", "late")),
        *((name, _WORD) for name in ("group_count", "register_count")),
        *((name, _WORD) for name in ("known", "unknown")),
        ("registers", ctypes.c_uint8 * 16),
    )


@dataclass(frozen=True)
class Rules:
    """Which accesses a part times: stores, those on the stack, and how they are joined.

    Accesses with less than `row_bytes` between them touch the same rows as all bytes from the
    first to the last. `beat_bytes` is the width of the bus.
    """

    stores: bool
    stack: bool
    row_bytes: int
    beat_bytes: int


@dataclass
class _Run:
    """Accesses that are being joined."""

    terms: _Terms
    store: bool
    first: int
    end: int
    beats: int


@dataclass(frozen=True)
class Planned:
    """A plan with what it points to."""

    plan: Plan
    groups: ctypes.Array[Group] = field(repr=False)

    @property
    def address(self) -> int:
        """For an edge."""
        return ctypes.addressof(self.plan)


def planned(
    block: Block, found: Iterable[Access], rules: Rules, memory: int, code: Region | None
) -> Planned:
    """The plan of a block that lies in the region `code`, with these accesses."""
    timed = [a for a in found if rules.stores or not a.store]
    runs = _runs([a for a in timed if _matters(a, rules)], rules)
    groups = (Group * len(runs))(*(_group(run) for run in runs))
    registers = sorted({r for run in runs for r, _ in run.terms})
    plan = Plan(memory=memory, group_count=len(runs), register_count=len(registers))
    plan.groups = ctypes.cast(groups, ctypes.POINTER(Group))
    plan.registers[: len(registers)] = registers
    plan.known = sum(a.address is not None for a in timed)
    plan.unknown = len(timed) - plan.known
    if code is not None:
        plan.code = ctypes.pointer(code)
        plan.start = block.address - code.base + code.origin
        plan.last = plan.start + block.size - 1
    return Planned(plan, groups)


def _matters(access: Access, rules: Rules) -> bool:
    if access.address is None:
        return False
    return rules.stack or access.address.terms != ((SP, 0),)


def _runs(found: list[Access], rules: Rules) -> list[_Run]:
    """Joined, in the order in which each base first occurs, then by rising address."""
    by_base: dict[tuple[_Terms, bool], list[Access]] = {}
    for access in found:
        if access.address is not None:
            by_base.setdefault((access.address.terms, access.store), []).append(access)
    runs: list[_Run] = []
    for (terms, store), same in by_base.items():
        previous: _Run | None = None
        for access in sorted(same, key=_offset):
            first, end = _offset(access), _offset(access) + access.bytes
            beats = -(-access.bytes // rules.beat_bytes)
            if previous is not None and first - previous.end < rules.row_bytes:
                previous.end = max(previous.end, end)
                previous.beats += beats
            else:
                previous = _Run(terms, store, first, end, beats)
                runs.append(previous)
    return runs


def _offset(access: Access) -> int:
    offset = access.address.offset if access.address else 0
    return offset - _SPACE if offset & _SIGN else offset


def _group(run: _Run) -> Group:
    terms = (*run.terms, (NO_REGISTER, 0), (NO_REGISTER, 0))[:2]
    group = Group(offset=run.first % _SPACE, last=run.end - run.first - 1, store=run.store)
    group.registers[:] = [register for register, _ in terms]
    group.shifts[:] = [shift for _, shift in terms]
    group.beats = min(run.beats, 0xFFFF)
    return group
