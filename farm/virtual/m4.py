"""Cycles of a Cortex-M4: one instruction at a time, with the one before it as context."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from farm.virtual.decode import Block, Instr


class CortexM4:
    """Prices blocks with a table such as timing/m4-v1.yaml."""

    def __init__(self, table: Mapping[str, Any]) -> None:
        self.table = table
        self._cycles: dict[str, int] = {
            name: group["cycles"] for group in table["groups"] for name in group["names"]
        }

    def cost(self, prev: Block | None, cur: Block, count: int | None = None) -> int:
        """Cycles that `cur` (its first `count` instructions) adds behind `prev`."""
        before = prev.instrs[-1] if prev and prev.instrs else None
        total = self._refill(prev, before, cur)
        for instr in cur.instrs[:count]:
            total += self._instr(instr, before)
            before = instr
        return total

    def _refill(self, prev: Block | None, last: Instr | None, cur: Block) -> int:
        """The pipeline refill of a taken branch at the end of `prev`."""
        if prev is None or last is None or not last.jumps:
            return 0
        if cur.address == prev.end and last.conditional:
            return 0
        branch = self.table["branch"]
        return int(branch["refill_split_target" if cur.first_is_split else "refill"])

    def _instr(self, instr: Instr, before: Instr | None) -> int:
        if instr.name == "it":
            narrow = before is not None and before.size == 2
            return int(self.table["it"]["behind_narrow" if narrow else "otherwise"])
        if instr.jumps:
            return self._branch(instr)
        price = getattr(self, f"_{instr.role}", None)
        cycles: int = price(instr, before) if price else self._plain(instr)
        return cycles + self._fp_stall(instr, before) + self._address_stall(instr, before)

    def _plain(self, instr: Instr) -> int:
        return self._cycles.get(instr.name, int(self.table["default"]))

    def _branch(self, instr: Instr) -> int:
        branch, multiple = self.table["branch"], self.table["multiple"]
        if instr.role == "table":
            return int(branch["cycles"] + branch["table"])
        if instr.words:  # POP {.., pc}
            moved = instr.words * multiple["per_word"]
            return int(multiple["base"] + moved + branch["indirect"])
        if instr.address:  # LDR pc
            return int(self.table["load"]["first"] + branch["indirect"])
        return int(branch["cycles"] + (branch["indirect"] if instr.role == "indirect" else 0))

    def _load(self, instr: Instr, before: Instr | None) -> int:
        load = self.table["load"]
        behind = before is not None and before.role == "load"
        if behind and before is not None and not before.writes & instr.address:
            return int(load["pipelined"])
        return int(load["first"])

    def _store(self, instr: Instr, before: Instr | None) -> int:
        store = self.table["store"]
        if not instr.register_offset:
            return int(store["immediate"])
        behind = before is not None and before.role == "load"
        return int(store["behind_load" if behind else "register_offset"])

    def _multiple(self, instr: Instr, _before: Instr | None) -> int:
        multiple = self.table["multiple"]
        return int(multiple["base"] + instr.words * multiple["per_word"])

    def _fp_memory(self, instr: Instr, _before: Instr | None) -> int:
        return int(self.table["fp_memory"]["double" if instr.words == 2 else "single"])

    def _fp_stall(self, instr: Instr, before: Instr | None) -> int:
        if before is None or before.role != "fp" or instr.role != "fp":
            return 0
        return int(self.table["fp_dependent"]) if before.writes & instr.reads else 0

    def _address_stall(self, instr: Instr, before: Instr | None) -> int:
        """What an address costs that the data processing instruction before it has made."""
        if before is None or before.role not in ("alu", "fp"):
            return 0
        return int(self.table.get("address_stall", 0)) if before.writes & instr.address else 0
