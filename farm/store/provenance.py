"""The columns of a measurement's row: the parts of its provenance that can be searched.

The body keeps everything, exactly; a column repeats one value of it, as far as a database can
hold it. Bodies come from boards and older files, so a value of the wrong kind leaves its column
empty.
"""

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from farm.measure import Measurement, Scalar
from farm.rack.inventory import normal_uid

_LARGEST = 2**63 - 1  # of a database's BIGINT
Json = Mapping[str, Any]


def columns_of(m: Measurement) -> dict[str, Any]:
    """Every column of the row of `m`, but its number."""
    return body_columns(m.to_json() | {"source": "measured"})


def body_columns(body: Json) -> dict[str, Any]:
    """The same from a measurement's JSON."""
    row = {name: read(body) for name, read in _COLUMNS.items()}
    return row | {"body": json.dumps(body, allow_nan=False)}


def text(value: object) -> str | None:
    """As text that any database can hold: no NUL, nothing that is not Unicode."""
    if not isinstance(value, str):
        return None
    return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def whole(value: object) -> int | None:
    """As a number of 64 bits, or None."""
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > _LARGEST:
        return None
    return value


def real(value: object) -> float | None:
    """As a finite number, or None."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        return None
    return float(value)


def scalars(facts: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """As JSON that every reader takes: a number that is none becomes a word."""
    return {
        key: str(value) if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in facts.items()
    }


def _key(kind: Callable[[object], Any], name: str) -> Callable[[Json], Any]:
    return lambda body: kind(body.get(name))


def _fact(kind: Callable[[object], Any], name: str) -> Callable[[Json], Any]:
    return lambda body: kind(_facts(body).get(name))


def _facts(body: Json) -> Json:
    found = body.get("provenance")
    return found if isinstance(found, Mapping) else {}


def _needed(name: str) -> Callable[[Json], Any]:
    return lambda body: text(body.get(name)) or ""


def _probe_uid(body: Json) -> str | None:
    probe = text(_facts(body).get("probe"))
    return normal_uid(probe) if probe else None


_COLUMNS: Mapping[str, Callable[[Json], Any]] = {
    "utc": _needed("utc"),
    "name": _needed("name"),
    "status": _needed("status"),
    "board": _needed("board"),
    "board_type": _needed("board_type"),
    "virtual": lambda body: bool(body.get("virtual")),
    "image_key": _needed("image_key"),
    "input_sha256": _needed("input_sha256"),
    "expected_sha256": _needed("expected_sha256"),
    "timing_model": _key(text, "timing_model"),
    "image_sha256": _key(text, "image_sha256"),
    "output_sha256": _key(text, "output_sha256"),
    "model_sha256": _fact(text, "model_sha256"),
    "compiler": _fact(text, "compiler"),
    "compiler_flags": _fact(text, "compiler_flags"),
    "tinyrack": _fact(text, "tinyrack"),
    "pyocd": _fact(text, "pyocd"),
    "host": _fact(text, "host"),
    "pid": _fact(whole, "pid"),
    "probe_uid": _probe_uid,
    "chip_uid": _fact(text, "unique_id"),
    "lease_token": _fact(whole, "lease_token"),
    "attempt": _fact(whole, "attempt"),
    "purpose": _fact(text, "purpose"),
    "job_id": _fact(text, "job_id"),
    "clock_hz": _key(whole, "clock_hz"),
    "clock_measured_hz": _key(real, "clock_measured_hz"),
    "cycles": _key(whole, "cycles"),
    "latency_ms": _key(real, "latency_ms"),
    "peak_sram_bytes": _key(whole, "peak_sram_bytes"),
    "flash_bytes": _key(whole, "flash_bytes"),
    "macs": _key(whole, "macs"),
    "queue_s": _fact(real, "queue_s"),
    "flash_s": _fact(real, "flash_s"),
    "job_s": _fact(real, "job_s"),
    "elf_build_id": _fact(text, "elf_build_id"),
    "linker_script_sha256": _fact(text, "linker_script_sha256"),
    "engine_sha256": _fact(text, "engine_sha256"),
    "packs": _fact(text, "packs"),
    "device_idcode": _fact(text, "device_idcode"),
    "probe_firmware": _fact(text, "probe_firmware"),
    "host_kernel": _fact(text, "host_kernel"),
    "clock_source": _fact(text, "clock_source"),
}
