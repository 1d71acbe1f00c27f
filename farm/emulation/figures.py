"""The figures of one part: connect, flash, idle, emulate."""

from __future__ import annotations

import importlib
import json
import time
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from farm.bench import measure_on_board
from farm.emulation.cost import Cost, cost_of, cpu_s, memory_bytes, wakeups
from farm.emulation.work import Work
from farm.errors import BenchError
from farm.image import build_image
from farm.mcus import Mcu, load_mcu
from farm.probe import Probe, open_probe
from farm.rack.inventory import Board
from farm.runs import Trial
from farm.serial_port import open_port
from farm.virtual import rack
from farm.virtual.rpc import Op, Request

IMAGE_BYTES = 512 * 1024
_DEADLINE_S = 600.0
_TIMED = 20  # inferences
Row = dict[str, Any]


@dataclass(frozen=True)
class RandomImage:
    """Bytes that no flash holds yet."""

    address: int
    data: bytes
    name: str = "random bytes"

    def segments(self) -> list[tuple[int, bytes]]:
        """One."""
        return [(self.address, self.data)]


def figures(board: Board, works: list[Work], rounds: int, idle_s: float) -> list[Row]:
    """One row a step: medians over the rounds; BenchError when a step fails."""
    rack.ensure_up(board)
    found = rack.find(board.probe_uid)
    if found is None:
        raise BenchError("its daemon went away", board.id)
    mcu = load_mcu(board.type.mcu)
    costs = [_connect_and_flash(board, mcu, found.pid, seed) for seed in range(rounds + 1)][1:]
    rows = [_row(board, step, [cost[step] for cost in costs]) for step in costs[0]]
    rows += [_speed(board, mcu, work, found.pid) for work in works]
    return [*rows, _idle(board, mcu, found.pid, idle_s)]


def _connect_and_flash(board: Board, mcu: Mcu, pid: int, seed: int) -> dict[str, Cost]:
    """By step; the first round imports pyOCD as well."""
    importlib.import_module("pyocd.flash.loader")
    image = RandomImage(mcu.flash.base, np.random.default_rng(seed).bytes(IMAGE_BYTES))
    costs: dict[str, Cost] = {}
    with ExitStack() as stack:
        probes: list[Probe] = []

        def connect() -> None:
            probes.append(stack.enter_context(open_probe(board, mcu)))

        def flash() -> None:
            probes[0].flash(image)
            probes[0].verify(image)

        costs["connect"] = cost_of(connect, pid)
        costs["flash 512 KiB"] = cost_of(flash, pid)
    return costs


def _speed(board: Board, mcu: Mcu, work: Work, pid: int) -> Row:
    """Instructions a second of the daemon's CPU time while inferences are timed."""
    marks: dict[str, tuple[float, int]] = {}

    def mark(stage: str) -> None:
        facts = json.loads(rack.ask(board, Request(Op.STATUS), "its state").payload)
        marks[stage] = cpu_s(pid), int(facts["instructions"])

    image = build_image(work.model, mcu, board.type.name)
    trial = Trial(work.given, work.expected, _TIMED)
    result = measure_on_board(board, mcu, image, trial, _DEADLINE_S, mark)
    (start_s, first), (end_s, last) = marks["time"], marks["stack"]
    macs = result.macs * (_TIMED + 1)  # one inference before the timed ones
    return {
        "board_type": board.type.name,
        "step": work.name,
        "daemon_cpu_s": end_s - start_s,
        "instructions_per_s": (last - first) / (end_s - start_s),
        "macs_per_s": macs / (end_s - start_s),
        "output_ok": result.status == "ok",
        "cycles": result.cycles,
    }


def _idle(board: Board, mcu: Mcu, pid: int, seconds: float) -> Row:
    """The board waits for a request on its console, which is open."""
    with open_port(board, mcu.uart.baud):
        time.sleep(1.0)
        before = cpu_s(pid), wakeups(pid)
        time.sleep(seconds)
        spent_s, woken = cpu_s(pid) - before[0], wakeups(pid) - before[1]
    rss_bytes, pss_bytes = memory_bytes(pid)
    return {
        "board_type": board.type.name,
        "step": "idle",
        "daemon_cpu_s": spent_s,
        "seconds": seconds,
        "wakeups": woken,
        "rss_bytes": rss_bytes,
        "pss_bytes": pss_bytes,
    }


def _row(board: Board, step: str, costs: list[Cost]) -> Row:
    return {
        "board_type": board.type.name,
        "step": step,
        "rounds": len(costs),
        "client_cpu_s": median(cost.client_s for cost in costs),
        "daemon_cpu_s": median(cost.daemon_s for cost in costs),
        "cpu_s": median(cost.cpu_s for cost in costs),
        "wall_s": median(cost.wall_s for cost in costs),
    }
