"""Faults over the daemon's socket: JSON in, JSON out."""

from __future__ import annotations

import json
from typing import Any

from farm.virtual.faults_engine import FaultEngine
from farm.virtual.faults_table import FaultError, from_json
from farm.virtual.rpc import Reply, Status


def perform(engine: FaultEngine | None, payload: bytes) -> Reply:
    """`{"do": "inject", "fault": ...}`, `{"do": "clear"}` or `{"do": "active"}`."""
    try:
        answer = _answer(engine, json.loads(payload))
    except (ValueError, RecursionError) as error:
        return Reply(Status.REFUSED, payload=str(error).encode())
    return Reply(payload=json.dumps(answer).encode())


def _answer(engine: FaultEngine | None, request: object) -> dict[str, Any]:
    if engine is None:
        raise FaultError("this board takes no faults")
    match request:
        case {"do": "inject", "fault": described}:
            return engine.inject(from_json(described))
        case {"do": "clear"}:
            return {"cleared": engine.clear()}
        case {"do": "active"}:
            return {"active": [each.fault.to_json() for each in engine.active()]}
        case _:
            raise FaultError("to do is inject, clear or active")
