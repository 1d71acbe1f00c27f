"""Version 3: more of the provenance as columns: what the build, the probe and the chip say."""

import json

import sqlalchemy as sa
from alembic import op

from farm.store.provenance import body_columns

revision = "0003"
down_revision = "0002"

_ADDED = (
    *("elf_build_id", "linker_script_sha256", "engine_sha256", "packs"),
    *("device_idcode", "probe_firmware", "host_kernel", "clock_source"),
)
_BATCH = 500


def upgrade() -> None:
    """Add the columns, and fill them from bodies that say more than version 2 had columns for."""
    for name in _ADDED:
        op.add_column("measurements", sa.Column(name, sa.Text))
    connection, last = op.get_bind(), 0
    rows = sa.table("measurements", *(sa.column(n) for n in ("id", "body", *_ADDED)))
    some = sa.select(rows.c.id, rows.c.body).order_by(rows.c.id).limit(_BATCH)
    while found := connection.execute(some.where(rows.c.id > last)).all():
        for row_id, body in found:
            if known := _known(body):
                connection.execute(rows.update().where(rows.c.id == row_id).values(known))
        last = found[-1].id


def _known(body: str) -> dict[str, str]:
    """The columns that the body fills; none of one that cannot be read."""
    try:
        values = body_columns(dict(json.loads(body)))
    except (ValueError, TypeError):
        return {}
    return {name: values[name] for name in _ADDED if values[name] is not None}
