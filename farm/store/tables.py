"""The tables of the store, the same on SQLite and PostgreSQL; migrations/ brings files here.

Measurements are never changed or deleted. Whatever is learned about them later, such as a flag,
is a row of another table.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
)
from sqlalchemy.schema import SchemaItem

METADATA = MetaData()
# SQLite counts up by itself only for a column declared INTEGER, which has 64 bits there.
_ID = BigInteger().with_variant(Integer(), "sqlite")


def _number() -> Column[int]:
    return Column("id", _ID, primary_key=True, autoincrement=True)


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False)


def _board_table(name: str, *parts: SchemaItem) -> Table:
    """A table of what happened to boards: number, time, board, and more."""
    head = (_number(), _text("utc"), _text("board"))
    return Table(name, METADATA, *head, *parts, sqlite_autoincrement=True)


MEASUREMENTS = Table(
    "measurements",
    METADATA,
    _number(),
    _text("utc"),
    _text("name"),
    _text("status"),
    _text("board"),
    _text("board_type"),
    Column("virtual", Boolean, nullable=False),
    _text("image_key"),
    _text("input_sha256"),
    _text("expected_sha256"),
    Column("timing_model", Text),
    _text("body"),  # the whole measurement as JSON; what the columns below repeat can be searched
    Column("image_sha256", Text),
    Column("output_sha256", Text),
    Column("model_sha256", Text),
    Column("compiler", Text),
    Column("compiler_flags", Text),
    Column("tinyrack", Text),
    Column("pyocd", Text),
    Column("host", Text),
    Column("pid", BigInteger),
    Column("probe_uid", Text),
    Column("chip_uid", Text),
    Column("lease_token", BigInteger),
    Column("attempt", BigInteger),
    Column("purpose", Text),
    Column("job_id", Text),
    Column("clock_hz", BigInteger),
    Column("clock_measured_hz", Float),
    Column("cycles", BigInteger),
    Column("latency_ms", Float),
    Column("peak_sram_bytes", BigInteger),
    Column("flash_bytes", BigInteger),
    Column("macs", BigInteger),
    Column("queue_s", Float),
    Column("flash_s", Float),
    Column("job_s", Float),
    Column("elf_build_id", Text),
    Column("linker_script_sha256", Text),
    Column("engine_sha256", Text),
    Column("packs", Text),
    Column("device_idcode", Text),
    Column("probe_firmware", Text),
    Column("host_kernel", Text),
    Column("clock_source", Text),
    Index("by_key", "image_key", "board_type", "input_sha256", "expected_sha256"),
    Index("by_board", "board"),
    Index("by_job", "job_id"),
    sqlite_autoincrement=True,
)

FENCES = Table(
    "fences",
    METADATA,
    Column("uid", Text, primary_key=True),
    Column("token", BigInteger, nullable=False),
    _text("utc"),
)

FLAGS = _board_table("flags", _text("since_utc"), _text("why"), _text("user"), _text("host"))

FLAGGED = Table(
    "flagged",
    METADATA,
    Column("flag_id", _ID, ForeignKey("flags.id"), primary_key=True),
    Column("measurement_id", _ID, ForeignKey("measurements.id"), primary_key=True),
    Index("by_measurement", "measurement_id"),
)

RECOVERIES = _board_table(
    "recoveries",
    _text("rung"),
    Column("seconds", Float, nullable=False),
    _text("outcome"),
    Column("lease_token", BigInteger),
    _text("detail"),
    Index("recoveries_by_board", "board"),
)

GOLDEN_RUNS = _board_table(
    "golden_runs",
    _text("board_type"),
    Column("virtual", Boolean, nullable=False),
    Column("ok", Boolean, nullable=False),
    Column("cycles", BigInteger),
    Column("clock_hz", Float),
    Column("lease_token", BigInteger),
    Column("last_measurement", BigInteger, nullable=False),  # of this board then, 0 for none
    _text("detail"),
    _text("facts"),
    Index("golden_by_board", "board"),
)

AUDIT = Table(
    "audit",
    METADATA,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    _text("utc"),
    _text("user"),
    _text("host"),
    Column("pid", BigInteger, nullable=False),
    _text("action"),
    _text("board"),
    Column("lease_token", BigInteger),
    _text("image_sha256"),
    _text("result"),
    _text("facts"),
    _text("hash"),
    Index("audit_by_board", "board"),
)

# One row: the end of the chain. Who writes anything locks it first, so writers come in turn.
AUDIT_HEAD = Table(
    "audit_head",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
    _text("hash"),
)
