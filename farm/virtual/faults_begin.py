"""How each kind of fault begins on a board, and how it ends."""

from __future__ import annotations

import os
import signal
from typing import Any

from farm.virtual.faults_engine import Active, Begin, FaultEngine
from farm.virtual.faults_link import EVER_S

_ALWAYS = -1
Facts = dict[str, Any]


def _cell(engine: FaultEngine, active: Active) -> Facts:
    flash, offset = engine.machine.flash, engine.offset(active.fault["at"])
    flash.changes(offset, 1)
    flash.cells.add(active.fault, offset)
    active.undo = lambda: flash.cells.remove(active.fault, offset)
    active.over = lambda: flash.cells.worked_off(active.fault)
    return {}


def _rot(engine: FaultEngine, active: Active) -> Facts:
    part, rot, flash = engine.machine.part, active.fault, engine.machine.flash
    first = engine.offset(rot["at"]) if rot["at"] else 0
    size = min(rot["bytes"], part.flash_bytes - first) if rot["at"] else part.flash_bytes
    changed = flash.cells.rot(rot, first, size)
    for at in changed:
        flash.changes(at, 1)
    return {"addresses": [part.flash_base + at for at in changed]}


def _busy(engine: FaultEngine, active: Active) -> Facts:
    flash = engine.machine.flash
    active.undo = lambda: flash.set_busy(False)
    active.over = lambda: not flash.cells.busy
    engine.arm(active, lambda: flash.set_busy(True))
    return {}


def _drop(engine: FaultEngine, active: Active) -> Facts:
    probe, lasts = engine.probe, active.fault["lasts"]
    seconds = {"once": 0.0, "while": active.fault["ms"] / 1000, "ever": EVER_S}[lasts]
    active.undo, active.over = probe.plug_in, lambda: probe.present
    engine.arm(active, lambda: probe.unplug(seconds))
    return {}


def _slow(engine: FaultEngine, active: Active) -> Facts:
    engine.probe.slow_s = active.fault["ms"] / 1000
    active.undo = lambda: setattr(engine.probe, "slow_s", 0.0)
    return {}


def _refuse(engine: FaultEngine, active: Active) -> Facts:
    engine.probe.refusals = active.fault["times"] or _ALWAYS
    active.undo = lambda: setattr(engine.probe, "refusals", 0)
    active.over = lambda: engine.probe.refusals == 0
    return {}


def _hang(engine: FaultEngine, active: Active) -> Facts:
    core = engine.machine.faults
    active.undo = lambda: setattr(core, "hung", False)
    active.over = lambda: not core.hung

    def hang() -> None:
        core.hung = True
        engine.fall_silent(active)

    engine.arm(active, hang)
    return {}


def _lock_up(engine: FaultEngine, active: Active) -> Facts:
    machine = engine.machine
    active.undo = lambda: machine.system_reset() if machine.state == "lockup" else None
    active.over = lambda: machine.state != "lockup"
    engine.arm(active, lambda: engine.fall_silent(active), machine.lock_up)
    return {}


def _noise(engine: FaultEngine, active: Active) -> Facts:
    engine.line.add(active.fault)
    active.undo = lambda: engine.line.remove(active.fault)
    return {}


def _drift(engine: FaultEngine, active: Active) -> Facts:
    engine.drift = 1 + active.fault["percent"] / 100
    active.undo = lambda: setattr(engine, "drift", 1.0)
    return {}


def _lost_source(engine: FaultEngine, active: Active) -> Facts:
    clocks = engine.machine.clocks
    if active.fault["lost"] == "pll":
        clocks.pll_locks = False
        active.undo = lambda: setattr(clocks, "pll_locks", True)
    else:
        clocks.external_hz = 0
        active.undo = lambda: setattr(clocks, "external_hz", clocks.tree.external_hz)
    return {}


def _brown_out(engine: FaultEngine, active: Active) -> Facts:
    def dip() -> None:
        engine.cut_power()
        engine.give_power()
        engine.machine.clocks.came_from("brown-out")

    engine.arm(active, lambda: engine.lose_power(active), dip)
    return {}


def _power_cut(engine: FaultEngine, active: Active) -> Facts:
    def cut() -> None:
        engine.cut_power()
        if active.fault["off_ms"]:
            engine.give_power_in(active.fault["off_ms"] / 1000)

    engine.arm(active, lambda: engine.lose_power(active), cut)
    return {}


def _kill(engine: FaultEngine, active: Active) -> Facts:
    def kill() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    engine.arm(active, lambda: engine.lose_power(active), kill)
    return {}


BEGIN: dict[str, Begin] = {
    "flash-program": _cell,
    "flash-erase": _cell,
    "flash-cell": _cell,
    "flash-rot": _rot,
    "flash-busy": _busy,
    "probe-drop": _drop,
    "probe-slow": _slow,
    "probe-refuse": _refuse,
    "core-hang": _hang,
    "core-lockup": _lock_up,
    "uart-lose": _noise,
    "uart-repeat": _noise,
    "uart-flip": _noise,
    "uart-delay": _noise,
    "clock-drift": _drift,
    "clock-source": _lost_source,
    "brown-out": _brown_out,
    "power-cut": _power_cut,
    "daemon-kill": _kill,
}
