"""Version 2: provenance as columns; fences, flags, recoveries, golden runs and the audit chain."""

import json

import sqlalchemy as sa
from alembic import op
from sqlalchemy.schema import SchemaItem

from farm.store.provenance import body_columns

revision = "0002"
down_revision = "0001"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_ADDED = {
    sa.Text: (
        *("image_sha256", "output_sha256", "model_sha256", "compiler", "compiler_flags"),
        *("tinyrack", "pyocd", "host", "probe_uid", "chip_uid", "purpose", "job_id"),
    ),
    sa.BigInteger: (
        *("pid", "lease_token", "attempt", "clock_hz", "cycles", "peak_sram_bytes"),
        *("flash_bytes", "macs"),
    ),
    sa.Float: ("clock_measured_hz", "latency_ms", "queue_s", "flash_s", "job_s"),
}
_BATCH = 500
_GUARDS = {
    "sqlite": (
        """CREATE TRIGGER audit_keeps_{0} BEFORE {0} ON audit
           BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END""",
    ),
    "postgresql": (
        """CREATE OR REPLACE FUNCTION audit_keeps() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN RAISE EXCEPTION 'the audit is append-only'; END $$""",
        """CREATE TRIGGER audit_keeps_{0} BEFORE {0} ON audit
           FOR EACH ROW EXECUTE FUNCTION audit_keeps()""",
    ),
}


def upgrade() -> None:
    """Add the columns, fill them from the bodies, make the other tables."""
    for kind, names in _ADDED.items():
        for name in names:
            op.add_column("measurements", sa.Column(name, kind))
    op.create_index("by_job", "measurements", ["job_id"])
    _fill()
    _make_fences_and_flags()
    _make_history()
    _make_audit()


def _fill() -> None:
    """Repeat in the columns what the bodies say; a body that cannot be read stays as it is."""
    connection, last = op.get_bind(), 0
    names = [name for added in _ADDED.values() for name in added]
    rows = sa.table("measurements", *(sa.column(n) for n in ("id", "body", *names)))
    some = sa.select(rows.c.id, rows.c.body).order_by(rows.c.id).limit(_BATCH)
    while found := connection.execute(some.where(rows.c.id > last)).all():
        for row_id, body in found:
            try:
                values = body_columns(dict(json.loads(body)))
            except (ValueError, TypeError):
                continue
            known = {name: values[name] for name in names}
            connection.execute(rows.update().where(rows.c.id == row_id).values(known))
        last = found[-1].id


def _make_fences_and_flags() -> None:
    op.create_table(
        "fences",
        sa.Column("uid", sa.Text, primary_key=True),
        sa.Column("token", sa.BigInteger, nullable=False),
        _text("utc"),
    )
    _board_table("flags", *map(_text, ("since_utc", "why", "user", "host")))
    op.create_table(
        "flagged",
        sa.Column("flag_id", _ID, sa.ForeignKey("flags.id"), primary_key=True),
        sa.Column("measurement_id", _ID, sa.ForeignKey("measurements.id"), primary_key=True),
    )
    op.create_index("by_measurement", "flagged", ["measurement_id"])


def _make_history() -> None:
    _board_table(
        "recoveries",
        _text("rung"),
        sa.Column("seconds", sa.Float, nullable=False),
        _text("outcome"),
        sa.Column("lease_token", sa.BigInteger),
        _text("detail"),
    )
    op.create_index("recoveries_by_board", "recoveries", ["board"])
    _board_table(
        "golden_runs",
        _text("board_type"),
        sa.Column("virtual", sa.Boolean, nullable=False),
        sa.Column("ok", sa.Boolean, nullable=False),
        sa.Column("cycles", sa.BigInteger),
        sa.Column("clock_hz", sa.Float),
        sa.Column("lease_token", sa.BigInteger),
        sa.Column("last_measurement", sa.BigInteger, nullable=False),
        _text("detail"),
        _text("facts"),
    )
    op.create_index("golden_by_board", "golden_runs", ["board"])


def _make_audit() -> None:
    op.create_table(
        "audit",
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        *map(_text, ("utc", "user", "host")),
        sa.Column("pid", sa.BigInteger, nullable=False),
        *map(_text, ("action", "board")),
        sa.Column("lease_token", sa.BigInteger),
        *map(_text, ("image_sha256", "result", "facts", "hash")),
    )
    op.create_index("audit_by_board", "audit", ["board"])
    head = op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        _text("hash"),
    )
    op.bulk_insert(head, [{"id": 1, "seq": 0, "hash": ""}])
    for guard in _GUARDS[op.get_bind().dialect.name]:
        for verb in ("UPDATE", "DELETE") if "{0}" in guard else ("",):
            op.execute(guard.format(verb))


def _board_table(name: str, *columns: SchemaItem) -> None:
    head = (sa.Column("id", _ID, primary_key=True, autoincrement=True),)
    names = (_text("utc"), _text("board"))
    op.create_table(name, *head, *names, *columns, sqlite_autoincrement=True)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False)
